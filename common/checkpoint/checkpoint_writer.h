#ifndef RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_WRITER_H_
#define RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/checkpoint/checkpoint.h"

namespace ringmaster {

// Where the nodes of a process keep their checkpoints.
struct CheckpointPlace {
  std::string folder;  // exists
  std::string run;     // CheckpointHeader's
  uint64_t inputs = 0;
  uint64_t writer = 0;
  std::vector<std::string> nodes;  // all of the run
  size_t own_nodes = 0;            // how many of them live in this process
  int64_t kept = 2;                // of those that are whole
  bool prunes = false;             // removes older ones: one process of the run does
};

// Writes the checkpoints of one process's nodes, one after the other, on a thread of its own. What
// cannot be written is said once, and the run goes on: the checkpoints before it stay.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(CheckpointPlace place);
  // Waits until all that was kept is written.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Keeps where `node` stands before `step`, with what it has reported so far. Waits for the disk
  // only where as many checkpoints as the process has nodes are not written yet, so memory is
  // bounded. Any thread.
  void Keep(const std::string& node, int64_t step, State state, std::string report);

  // What has become of all that was kept so far.
  struct Outcome {
    int64_t written = 0;
    int64_t failed = 0;
    std::string first_failure;  // empty: none
  };
  // Waits until it is written. Any thread.
  Outcome Finish();

 private:
  void Write();
  void WriteOne(const Checkpoint& checkpoint);

  const CheckpointPlace place_;
  absl::Mutex mutex_;
  std::deque<Checkpoint> waiting_ ABSL_GUARDED_BY(mutex_);  // the first is being written
  bool stops_ ABSL_GUARDED_BY(mutex_) = false;
  Outcome outcome_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the above
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_WRITER_H_
