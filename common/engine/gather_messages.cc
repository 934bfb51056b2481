#include "common/engine/gather_messages.h"

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/engine/engine.h"

namespace ringmaster {

absl::StatusOr<std::vector<std::string>> GatherMessages(CollectiveExecutor& executor, int64_t step,
                                                        absl::string_view own) {
  if (static_cast<int64_t>(own.size()) > EngineSeat::kMessageBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("an engine's message of ", own.size(), " bytes, at most ",
                     EngineSeat::kMessageBytesMax, "; use fewer ranks"));
  }
  const int32_t rank = executor.rank();
  const int32_t ranks = executor.ranks();
  std::vector<std::string> messages(ranks);
  std::vector<absl::Span<std::byte>> received(ranks);
  for (int32_t other = 0; other < ranks; ++other) {
    if (other == rank) continue;
    messages[other].resize(EngineSeat::kMessageBytesMax);
    received[other] = {reinterpret_cast<std::byte*>(messages[other].data()),
                       messages[other].size()};
  }
  const absl::Span<const std::byte> bytes(reinterpret_cast<const std::byte*>(own.data()),
                                          own.size());
  RM_RETURN_IF_ERROR(executor.AllGather(step, 0, bytes, absl::MakeSpan(received)));
  for (int32_t other = 0; other < ranks; ++other) messages[other].resize(received[other].size());
  messages[rank] = std::string(own);
  return messages;
}

}  // namespace ringmaster
