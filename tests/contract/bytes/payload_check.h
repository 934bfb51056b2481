#ifndef RINGMASTER_TESTS_CONTRACT_BYTES_PAYLOAD_CHECK_H_
#define RINGMASTER_TESTS_CONTRACT_BYTES_PAYLOAD_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "proto/run_spec.pb.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {

// Runs `steps` steps and a drain on all workers of the group, every gradient another.
absl::Status RunSteps(StrategyGroup* group, int64_t steps);

// Payload of all messages that belong to steps (not of a drain), frame headers, and messages.
TrafficCount SentInSteps(const Traffic& traffic);
TrafficCount ReceivedInSteps(const Traffic& traffic);

// After RunSteps: what every worker's meter counted, up and down and indices, is
// PayloadFormula of `steps` steps to the byte; requests are empty. FailedPrecondition names worker,
// direction and both numbers.
absl::Status CheckGroupPayload(StrategyGroup* group, int64_t steps);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_BYTES_PAYLOAD_CHECK_H_
