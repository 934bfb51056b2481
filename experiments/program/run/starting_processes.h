#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_STARTING_PROCESSES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_STARTING_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"

namespace ringmaster {

// Tells processes of this machine that are slow to start from those that do not get on: many ranks
// on few cores take their time, and each has a share of it. Thread-safe.
class StartingProcesses {
 public:
  // A process that has used no processor time for `patience` does not get on.
  explicit StartingProcesses(absl::Duration patience) : patience_(patience) {}

  // The next process, from 0, has the id `pid`.
  void Add(pid_t pid);

  // Whether process `index` uses processor time, or waits for a disk. False: it is unknown, has
  // ended, is suspended or sleeps. To be asked again and again; it looks every patience / 10.
  bool GetsOn(int32_t index);

 private:
  struct Process {
    pid_t pid = 0;
    MonotonicTime looked;
    absl::Duration cpu = -absl::InfiniteDuration();  // processor time so far
    MonotonicTime got_on;                            // when it was last seen to
    bool gets_on = true;
  };

  const absl::Duration patience_;
  absl::Mutex mutex_;
  std::vector<Process> processes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_STARTING_PROCESSES_H_
