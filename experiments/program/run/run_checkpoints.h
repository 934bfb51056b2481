#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_CHECKPOINTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_CHECKPOINTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "common/base/message.h"
#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/checkpoint_writer.h"

namespace ringmaster {

class RunSpec;

// What decides the bits of a resolved spec's run, serialized: two runs with the same one may go on
// from each other's checkpoints. Names, outputs, limits and addresses are no part of it, nor what
// keeps others out or follows a loss.
std::string CheckpointedRun(const RunSpec& resolved);

// "worker/0", ...: every node of the resolved spec's run.
std::vector<std::string> NodeNames(const RunSpec& resolved);

// The checkpoints of a run as one of its processes sees them: what its nodes go on from, and where
// they keep what they give.
class RunCheckpoints {
 public:
  // Whose they are.
  struct Process {
    std::vector<NodeId> nodes;  // that live in it
    bool leads = false;         // removes what is not wanted any more: one process does
    std::string token;          // of the run: no other run has it
    std::string inputs;         // anything that differs where what the process has read differs
  };
  // Reads what the process's nodes go on from, where the resolved spec has a resume_step: the
  // errors are ReadCheckpoint's, and FailedPrecondition where a file is of another run or of other
  // inputs. Where it has none, FailedPrecondition says that the folder has checkpoints already.
  // Both before anything is written. Who leads keeps the folder for itself while this lives,
  // FailedPrecondition where another run has it, and removes the checkpoints after the resume_step.
  static absl::StatusOr<std::unique_ptr<RunCheckpoints>> Open(const RunSpec& spec,
                                                              const Process& process);

  // Whether what nodes give is kept.
  bool keeps() const { return writer_ != nullptr; }

  // What `node` goes on from, once; null: it begins at step 0.
  std::unique_ptr<Checkpoint> TakeBefore(const std::string& node);

  // CheckpointWriter's. REQUIRES: keeps().
  void Keep(const std::string& node, int64_t step, State state, std::string report) {
    writer_->Keep(node, step, std::move(state), std::move(report));
  }
  CheckpointWriter::Outcome Finish() { return writer_->Finish(); }

 private:
  RunCheckpoints() = default;

  std::map<std::string, std::unique_ptr<Checkpoint>> before_;  // by node
  Fd lock_;                                                    // of who leads
  std::unique_ptr<CheckpointWriter> writer_;                   // null: nothing is kept
};

// FailedPrecondition: the folder has checkpoints, which a run that begins at step 0 would mix with
// its own.
absl::Status CheckNoCheckpoints(const std::string& folder);

// Removes all of them, the spec's run being done, and the folder if nothing else is in it.
void RemoveCheckpoints(const RunSpec& spec);

// Sets `spec->output.resume_step` to that of the newest checkpoint that the resolved spec's run can
// go on from, if there is one. Returns those that are refused, and why.
std::vector<std::string> ResumeFromNewest(RunSpec* spec);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_CHECKPOINTS_H_
