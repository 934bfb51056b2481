#ifndef RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_H_
#define RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/state/state.h"

namespace ringmaster {

// Whose a checkpoint is, and of which moment.
struct CheckpointHeader {
  std::string run;      // what the run was told, in the words of who writes and reads it
  uint64_t inputs = 0;  // fingerprint of what the node has read: weights, layout, data
  uint64_t writer = 0;  // the same in all files that processes of one run have written
  std::string node;     // "worker/0"
  int32_t nodes = 0;    // of the run: a checkpoint is whole with a file of each
  int64_t step = 0;     // the first one that is not made
};

// One node of a run between two steps: what it needs to go on.
struct Checkpoint {
  CheckpointHeader header;
  State state;
  std::string report;  // what the node has reported so far, as the writer serialized it
};

// Writes a checkpoint as one file (docs/FORMATS.md), which appears under `path` when it is complete
// and on the disk. What stood there before stays until then, and stays for good after an error.
// Errors: AtomicFile's, which name the path.
absl::Status WriteCheckpoint(const std::string& path, const Checkpoint& checkpoint);

// Reads it back. Every length is checked against the file's before memory is taken for it. Errors
// name the path and the fault:
//   NotFound: there is no file.
//   InvalidArgument: it is no checkpoint, or its contents contradict each other.
//   FailedPrecondition: it has another version of the format.
//   DataLoss: it is shorter or longer than it says, or its checksum differs.
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CHECKPOINT_CHECKPOINT_H_
