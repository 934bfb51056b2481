#ifndef RINGMASTER_COMMON_CONFIG_DESCRIBE_H_
#define RINGMASTER_COMMON_CONFIG_DESCRIBE_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace ringmaster {

class RunSpec;
class StrategySpec;
class TrainingSpec;

// What follows from a resolved spec. Pure, thread-safe.

// The scheme's name (common/scheme), for example "all_reduce"; empty where no strategy is set.
absl::string_view StrategyName(const StrategySpec& strategy);

// Samples of one step of all workers together: N * A * b.
int64_t GlobalBatch(const RunSpec& resolved);
int64_t GlobalBatch(const TrainingSpec& training);

// How many lots (common/control/dealing.h) the workers of the run claim, all together; 0: their
// work is dealt.
int64_t ClaimedLots(const RunSpec& resolved);

// Whether loss and accuracy are figures of the run: replicas that exchange nothing, and weights
// that nothing has moved, have none worth one.
bool IsScored(const RunSpec& resolved);

// "worker/2" or "server/0", apart.
struct NodeAddress {
  bool is_server = false;
  int32_t index = 0;
};
// Absent: `text` is no such name.
std::optional<NodeAddress> ReadNodeName(absl::string_view text);

// Whether the model takes model.dropout.
bool HasDropout(absl::string_view model_name);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_DESCRIBE_H_
