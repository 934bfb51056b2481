#include "common/collective/choice.h"

#include <limits>
#include <vector>

#include "common/base/status_macros.h"
#include "common/collective/hierarchical.h"

namespace ringmaster {
namespace {

constexpr int64_t kAnySize = std::numeric_limits<int64_t>::max();
constexpr int32_t kAnyRanks = std::numeric_limits<int32_t>::max();

// Up to `ranks` ranks and `bytes` bytes: the first line that fits. Few bytes cost messages, each of
// which wakes a thread: a binomial tree has 2(N-1) of them, recursive_doubling N log2 N in half as
// many rounds as the tree, halving_doubling 2 N log2 N, ring and direct 2 N (N-1). Many bytes cost
// bytes, of which tree and recursive_doubling send most, and then one neighbour each way disturbs
// the caches least. At N = 2 all that divide the data exchange the same two messages in a row, and
// recursive_doubling one each way.
//
// `ringmaster bench allreduce --transport tcp --workers N --collective C --sizes 4KiB:64MiB`
// measures a line's columns. Such measurements on loopback, two cores, are the lines of
// recursive_doubling (over grpc at N = 2 it takes 0.59 of the tree's time at 4 KiB and 0.75 at 32
// KiB; over tcp 0.86 of direct's at 64 KiB, 0.89 at 256 and 1.1 at 512) and those of the tree (at N
// = 4 half of the others' at 4 KiB and two thirds at 64 KiB). The lines for more ranks go by bytes
// and rounds.
struct Line {
  int32_t ranks;
  int64_t bytes;
  const char* name;
};
constexpr Line kTcp[] = {{2, 256 << 10, "recursive_doubling"}};
constexpr Line kSockets[] = {
    {2, 32 << 10, "recursive_doubling"},
    {2, kAnySize, "direct"},
    {4, 64 << 10, "binomial_tree"},
    {4, 256 << 10, "direct"},
    {4, kAnySize, "ring"},
    {kAnyRanks, 16 << 10, "binomial_tree"},
    {kAnyRanks, 1 << 20, "halving_doubling"},
    {kAnyRanks, kAnySize, "ring"},
};

// Where memory is lent a chunk is read, summed and written back in one pass, which direct has for
// every pair of ranks. Of four ranks on two cores it takes 0.67 of the ring's time at 4 MiB and
// 0.55 at 256 KiB, of three 0.63 and 0.65; the tree takes 0.84 of direct's at 32 KiB, and
// recursive_doubling 0.63 of it at 4 KiB, where nothing is lent. For more ranks nothing is
// measured.
constexpr Line kSharedMemory[] = {
    {2, 32 << 10, "binomial_tree"},
    {3, kAnySize, "direct"},
    {4, 4 << 10, "recursive_doubling"},
    {4, 32 << 10, "binomial_tree"},
    {4, kAnySize, "direct"},
    {kAnyRanks, 16 << 10, "binomial_tree"},
    {kAnyRanks, 1 << 20, "halving_doubling"},
    {kAnyRanks, kAnySize, "ring"},
};

// Null: none of the lines fits.
const char* FirstThatFits(absl::Span<const Line> lines, const CollectiveSize& size) {
  for (const Line& line : lines) {
    if (size.ranks <= line.ranks && size.bytes <= line.bytes) return line.name;
  }
  return nullptr;
}

}  // namespace

absl::string_view ChooseCollective(const CollectiveSize& size) {
  if (size.transport == "shm") return FirstThatFits(kSharedMemory, size);
  if (size.transport == "tcp") {
    if (const char* name = FirstThatFits(kTcp, size); name != nullptr) return name;
  }
  return FirstThatFits(kSockets, size);
}

absl::string_view ResolveCollective(absl::string_view name, const CollectiveSize& size) {
  return name == "auto" ? ChooseCollective(size) : name;
}

absl::StatusOr<std::unique_ptr<Schedule>> CreateSchedule(absl::string_view name,
                                                         const CollectiveSize& size) {
  const absl::string_view resolved = ResolveCollective(name, size);
  if (size.group_size == 0 || !HasGroups(resolved)) return CreateSchedule(resolved);
  RM_RETURN_IF_ERROR(CheckGroupSize(size.group_size, size.ranks));
  return CreateHierarchical(size.group_size);
}

bool HasGroups(absl::string_view name) { return name == "hierarchical"; }

absl::Span<const CollectiveInfo> CollectiveChoices() {
  static const auto* const kChoices = [] {
    auto* choices = new std::vector<CollectiveInfo>(Collectives().begin(), Collectives().end());
    choices->push_back(
        {"auto", "for every bucket the fastest measured for its size and the number of workers"});
    return choices;
  }();
  return *kChoices;
}

}  // namespace ringmaster
