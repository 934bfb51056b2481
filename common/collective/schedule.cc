#include "common/collective/schedule.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/collective/binomial_tree.h"
#include "common/collective/direct.h"
#include "common/collective/double_binary_tree.h"
#include "common/collective/halving_doubling.h"
#include "common/collective/hierarchical.h"
#include "common/collective/recursive_doubling.h"
#include "common/collective/reduce_broadcast.h"
#include "common/collective/ring.h"

namespace ringmaster {
namespace {

struct Entry {
  CollectiveInfo info;
  std::unique_ptr<Schedule> (*create)();
};

// A new schedule is an entry in each of these two lists, a section of docs/COLLECTIVES.md and,
// where runs are to name it, an arm of common/scheme/all_reduce. "auto" takes it only where
// choice.cc says so.
constexpr Entry kEntries[] = {
    {{"ring",
      "reduce-scatter and all-gather around a ring; a rank sends about 2S(N-1)/N in 2(N-1) rounds"},
     CreateRing},
    {{"direct",
      "reduce-scatter and all-gather, everybody to everybody; the ring's bytes in 2 rounds"},
     CreateDirect},
    {{"reduce_broadcast",
      "everything to rank 0, which sums and sends out; a rank sends S, the root (N-1)S"},
     CreateReduceBroadcast},
    {{"halving_doubling",
      "recursive halving, then doubling: about the ring's bytes in 2 log2 N rounds, any N"},
     CreateHalvingDoubling},
    {{"binomial_tree", "the whole bucket up a tree to rank 0 and down again, in 2 log2 N rounds"},
     CreateBinomialTree},
    {{"recursive_doubling",
      "the whole bucket both ways between pairs: log2 N rounds, for log2 N times S, any N"},
     CreateRecursiveDoubling},
    {{"hierarchical",
      "rings inside groups of ranks, and of each chunk across the groups: the ring's bytes, most "
      "of "
      "them inside"},
     [] { return CreateHierarchical(0); }},
    {{"double_binary_tree",
      "each half of the bucket up a tree of its own and down again, by pieces; a rank sends at "
      "most "
      "2S"},
     CreateDoubleBinaryTree},
};
constexpr CollectiveInfo kInfos[] = {kEntries[0].info, kEntries[1].info, kEntries[2].info,
                                     kEntries[3].info, kEntries[4].info, kEntries[5].info,
                                     kEntries[6].info, kEntries[7].info};
static_assert(sizeof(kInfos) / sizeof(kInfos[0]) == sizeof(kEntries) / sizeof(kEntries[0]));

}  // namespace

absl::StatusOr<std::unique_ptr<Schedule>> CreateSchedule(absl::string_view name) {
  for (const Entry& entry : kEntries) {
    if (name == entry.info.name) return entry.create();
  }
  return absl::InvalidArgumentError(absl::StrCat("collective \"", name, "\" is unknown; ",
                                                 KnownWordsText(name, RegistryNames(kInfos))));
}

absl::Span<const CollectiveInfo> Collectives() { return kInfos; }

Range ElementsOf(const Step& step, int32_t chunks, int64_t count) {
  RM_CHECK(step.chunk_begin >= 0 && step.chunk_count > 0 &&
           step.chunk_begin + step.chunk_count <= chunks);
  const Range first = Part(count, chunks, step.chunk_begin);
  const Range last = Part(count, chunks, step.chunk_begin + step.chunk_count - 1);
  return {first.begin, last.end() - first.begin};
}

int64_t SentBytes(const Schedule& schedule, int32_t rank, int32_t ranks, int64_t count,
                  int64_t element_bytes) {
  int64_t elements = 0;
  for (const Step& step : schedule.StepsOf(rank, ranks)) {
    if (step.op == Step::Op::kSend)
      elements += ElementsOf(step, schedule.chunks(ranks), count).count;
  }
  return elements * element_bytes;
}

}  // namespace ringmaster
