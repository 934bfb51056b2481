#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_MACHINES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_MACHINES_H_

#include <vector>

#include "absl/types/span.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Which machine each run took place on: numbers from 0 by first appearance, in the runs' order.
// One boot is one machine, whatever its host names (containers have one each). Two boots are one
// that was started anew if its system's id, its processor and its memory (within 1 %) agree. A
// record that notes no boot is of the first machine of its host name. Pure, thread-safe.
std::vector<int> MachineNumbers(absl::Span<const Machine* const> machines);

// How many there are.
int CountMachines(absl::Span<const Machine* const> machines);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_MACHINES_H_
