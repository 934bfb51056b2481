#include "common/control/last_words.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/control/activity_text.h"
#include "common/trace/thread_recorder.h"

namespace ringmaster {
namespace {

constexpr char kCut[] = "...";

absl::Status Wrong(const std::string& what, int64_t is, int64_t expected_max) {
  return absl::InvalidArgumentError(
      absl::StrCat("last words: ", what, ": ", is, ", expected at most ", expected_max));
}

bool IsName(const std::string& name) { return static_cast<int64_t>(name.size()) <= kNameBytesMax; }

bool HasNames(const ThreadTrace& thread) {
  const auto message_has = [](const TraceMessage& message) {
    return IsName(message.peer()) && IsName(message.kind());
  };
  return IsName(thread.node()) && IsName(thread.thread()) &&
         std::all_of(thread.spans().begin(), thread.spans().end(),
                     [](const TraceSpan& span) { return IsName(span.phase()); }) &&
         std::all_of(thread.sent().begin(), thread.sent().end(), message_has) &&
         std::all_of(thread.received().begin(), thread.received().end(), message_has);
}

absl::Status CheckNode(const NodeLastWords& words) {
  const std::string name = NameOf(words.activity().node());
  int64_t events = 0;
  for (const ThreadTrace& thread : words.threads()) {
    const int64_t here = thread.spans_size() + thread.sent_size() + thread.received_size();
    if (here == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("last words: ", name, ": a thread without events"));
    }
    if (thread.node() != name || !HasNames(thread)) {
      return absl::InvalidArgumentError(
          absl::StrCat("last words: ", name, ": a thread of another node, or a name of more than ",
                       kNameBytesMax, " bytes"));
    }
    events += here;
  }
  if (events > ThreadRecorder::kLastEvents)
    return Wrong(absl::StrCat(name, ": events"), events, ThreadRecorder::kLastEvents);
  if (words.activity().awaited_size() > kAwaitedMax)
    return Wrong(absl::StrCat(name, ": awaited messages"), words.activity().awaited_size(),
                 kAwaitedMax);
  if (!IsName(words.activity().phase()))
    return Wrong(absl::StrCat(name, ": bytes of its phase"), words.activity().phase().size(),
                 kNameBytesMax);
  const auto parked_bytes = static_cast<int64_t>(words.parked().size());
  if (parked_bytes > kParkedBytesMax)
    return Wrong(absl::StrCat(name, ": bytes about parked pulls"), parked_bytes, kParkedBytesMax);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLastWords(const LastWords& words, const Join& join) {
  std::set<std::string> left;
  for (const NodeName& node : join.nodes()) left.insert(NameOf(node));
  if (words.nodes_size() > join.nodes_size())
    return Wrong("nodes", words.nodes_size(), join.nodes_size());
  for (const NodeLastWords& node : words.nodes()) {
    const std::string name = NameOf(node.activity().node());
    if (left.erase(name) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("last words: ", name, " comes twice, or is no node of the process"));
    }
    RM_RETURN_IF_ERROR(CheckNode(node));
  }
  const auto clock_bytes = static_cast<int64_t>(words.clock().name().size());
  if (clock_bytes > kParkedBytesMax)
    return Wrong("bytes of its clock's name", clock_bytes, kParkedBytesMax);
  return absl::OkStatus();
}

std::string ShortenParked(const std::string& text) {
  if (static_cast<int64_t>(text.size()) <= kParkedBytesMax) return text;
  return absl::StrCat(text.substr(0, kParkedBytesMax - (sizeof(kCut) - 1)), kCut);
}

}  // namespace ringmaster
