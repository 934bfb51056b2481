#include "common/collective/choice.h"

#include <limits>
#include <vector>

#include "common/base/check.h"

namespace ringmaster {
namespace {

constexpr int64_t kAnySize = std::numeric_limits<int64_t>::max();
constexpr int32_t kAnyRanks = std::numeric_limits<int32_t>::max();

// Up to `ranks` ranks and `bytes` bytes: the first line that fits. At N = 2 all but reduce_broadcast and binomial_tree
// exchange the same two messages. Few bytes cost rounds, and every message a wake-up: two rounds of N-1 messages against
// 2 log2 N rounds of one. Many bytes cost bytes, and then one neighbour each way disturbs the caches least.
struct Line {
  int32_t ranks;
  int64_t bytes;
  const char* name;
};
constexpr Line kTable[] = {
    {2, kAnySize, "direct"},
    {4, 256 << 10, "direct"},
    {4, kAnySize, "ring"},
    {kAnyRanks, 16 << 10, "halving_doubling"},
    {16, 256 << 10, "direct"},
    {kAnyRanks, 1 << 20, "halving_doubling"},
    {kAnyRanks, kAnySize, "ring"},
};

}  // namespace

absl::string_view ChooseCollective(int32_t ranks, int64_t bytes) {
  for (const Line& line : kTable) {
    if (ranks <= line.ranks && bytes <= line.bytes) return line.name;
  }
  RM_CHECK(false);
  return "";
}

absl::string_view ResolveCollective(absl::string_view name, int32_t ranks, int64_t bytes) {
  return name == "auto" ? ChooseCollective(ranks, bytes) : name;
}

absl::Span<const CollectiveInfo> CollectiveChoices() {
  static const auto* const kChoices = [] {
    auto* choices = new std::vector<CollectiveInfo>(Collectives().begin(), Collectives().end());
    choices->push_back({"auto", "for every bucket the fastest measured for its size and the number of workers"});
    return choices;
  }();
  return *kChoices;
}

}  // namespace ringmaster
