#ifndef RINGMASTER_COMMON_ENGINE_GATHER_MESSAGES_H_
#define RINGMASTER_COMMON_ENGINE_GATHER_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/collective/executor.h"

namespace ringmaster {

// What EngineSeat::all_gather asks for, by an executor of the engine's ranks: every rank's message,
// by rank. `own` has at most EngineSeat::kMessageBytesMax. `step` makes tags, with bucket 0, as for
// any collective.
absl::StatusOr<std::vector<std::string>> GatherMessages(CollectiveExecutor& executor, int64_t step,
                                                        absl::string_view own);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_GATHER_MESSAGES_H_
