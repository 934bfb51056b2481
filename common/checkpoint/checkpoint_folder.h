#ifndef RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_FOLDER_H_
#define RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_FOLDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

// The checkpoints of one run: a folder for each, with a file for each node. It is whole when all
// these files are there, and what makes it so is the last of their renames: no other file says it.

// Whose checkpoints are looked for.
struct CheckpointOwner {
  std::string run;                 // CheckpointHeader's
  std::vector<std::string> nodes;  // all of the run: "worker/0", "server/0"
  // In words, how another run differs from this one. Absent: nobody can say.
  std::function<std::string(const std::string& run)> difference;
};

// FOLDER/step-000000300, and in it worker-0.rmck.
std::string CheckpointStepFolder(const std::string& folder, int64_t step);
std::string CheckpointFile(const std::string& folder, int64_t step, const std::string& node);

// Steps of which the folder has a checkpoint, or a part of one, the newest first. Empty where there
// is no folder.
std::vector<int64_t> CheckpointSteps(const std::string& folder);

// What a run may go on from.
struct NewestCheckpoint {
  int64_t step = 0;                  // 0: none; the run begins anew
  std::vector<std::string> refused;  // newer ones, and why: the newest first
};

// Reads all files of the newest checkpoint, of the one before if that is refused, and so on. One is
// refused, by name and with the reason, where a file is missing or ReadCheckpoint refuses it, where
// it is another run's, of another node, step or number of nodes, and where its files are of several
// writers. Takes memory for one file at a time.
NewestCheckpoint FindNewestCheckpoint(const std::string& folder, const CheckpointOwner& owner);

// Removes every checkpoint that is older than the `kept` newest which have a file of every node.
// Best effort: what cannot be removed stays. REQUIRES: kept > 0.
void PruneCheckpoints(const std::string& folder, absl::Span<const std::string> nodes, int64_t kept);

// Removes the checkpoints of steps after `step`, and what is left of writes that did not end: a run
// that goes on from `step`, or begins at 0, makes them anew. The system's reason, with the path.
absl::Status RemoveCheckpointsAfter(const std::string& folder, int64_t step);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_FOLDER_H_
