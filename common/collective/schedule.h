#ifndef RINGMASTER_COMMON_COLLECTIVE_SCHEDULE_H_
#define RINGMASTER_COMMON_COLLECTIVE_SCHEDULE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/partition.h"

namespace ringmaster {

// One step of one rank: a message of the chunks [chunk_begin, chunk_begin + chunk_count), or its
// receipt, stored or added. Chunks are the parts (common/base/partition.h) of the bucket,
// Schedule::chunks of them; a step whose chunks hold no element (a bucket smaller than N) is left
// out by both sides.
//
// Steps of one round may run at once: within a round no step writes a chunk that another step of
// the round reads or writes. There are two exceptions. Several receive-and-adds of the same chunks:
// their contributions and the rank's own are added in rank order, ((g0 + g1) + g2) + ..., whatever
// the order of arrival; they are listed in ascending order of peer. And a receive-and-add of the
// chunks that the round sends: what leaves is what was there before. In every round a pair of ranks
// exchanges at most one message each way, so (peer, round) finds it.
struct Step {
  enum class Op { kSend, kReceive, kReceiveAdd };
  Op op = Op::kSend;
  int32_t peer = 0;
  int32_t chunk_begin = 0;
  int32_t chunk_count = 0;
  int32_t round = 0;
};

// A collective as pure data: what every rank does, round by round. The executor runs it, the cost
// model prices it.
class Schedule {
 public:
  virtual ~Schedule() = default;
  // By which CreateSchedule knows it. Valid as long as the schedule.
  virtual absl::string_view name() const = 0;
  // What `rank` does, ordered by round, in which sends stand before receives. 0 <= rank < ranks;
  // empty for ranks = 1. After the steps of all ranks every chunk holds on every rank the same
  // bits: the sum over all ranks.
  virtual std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const = 0;
  // From how many others a rank receives at most, whichever it is. 1 <= ranks.
  virtual int32_t senders_max(int32_t ranks) const { return ranks - 1; }
  // Into how many chunks a bucket is cut.
  virtual int32_t chunks(int32_t ranks) const { return ranks; }
};

// The all-reduce schedule of that name: "ring", "direct" (reduce-scatter and all-gather, all to
// all), "reduce_broadcast" (everything to rank 0, summed there, sent out), "halving_doubling",
// "binomial_tree", "recursive_doubling", "hierarchical" (rings inside groups and across them; here
// of the usual size, see DefaultGroupSize) or "double_binary_tree". InvalidArgument names the known
// ones.
//
// Order of addition, for N of 3 or more (for N = 2 addition commutes and all agree): "direct" and
// "reduce_broadcast" add every element in rank order and so give the bits of a parameter server;
// "ring" starts chunk c at rank c and adds around the ring, so each chunk has another order, and
// "hierarchical" does so twice; the others add along trees, "double_binary_tree" along one for each
// half of the elements (see their headers). Each is the same on every rank and in every run.
absl::StatusOr<std::unique_ptr<Schedule>> CreateSchedule(absl::string_view name);

// The registry, for `list`, validation and tests. `summary` is one line.
struct CollectiveInfo {
  const char* name;
  const char* summary;
};
absl::Span<const CollectiveInfo> Collectives();

// The elements of the chunks of `step`, one of a schedule that cuts a bucket of `count` elements
// into `chunks`.
Range ElementsOf(const Step& step, int32_t chunks, int64_t count);

// Payload bytes that `rank` sends when `schedule` all-reduces `count` elements of `element_bytes`
// each, to the byte.
int64_t SentBytes(const Schedule& schedule, int32_t rank, int32_t ranks, int64_t count,
                  int64_t element_bytes);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_SCHEDULE_H_
