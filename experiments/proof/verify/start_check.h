#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_START_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_START_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace ringmaster {

// Lets two workers join a real coordinator on loopback with initial weights of these fingerprints;
// returns the run's status: OK when it starts, else why it was refused. No worker trains.
absl::Status StartWith(uint64_t weights_of_worker0, uint64_t weights_of_worker1);

// Whether a run starts from equal weights and is refused with unequal ones, naming both workers.
absl::StatusOr<std::string> CheckStart();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_START_CHECK_H_
