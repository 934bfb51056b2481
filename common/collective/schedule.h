#ifndef RINGMASTER_COMMON_COLLECTIVE_SCHEDULE_H_
#define RINGMASTER_COMMON_COLLECTIVE_SCHEDULE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ringmaster {

// One step of one rank. Chunks are the N parts (common/base/partition.h) of the bucket.
// Steps of one round may run at once: within a round no step writes a chunk that another step of the round reads or
// writes, except receive-and-adds, which the executor runs in the order in which they are listed.
struct Step {
  enum class Op { kSend, kReceive, kReceiveAdd };
  Op op = Op::kSend;
  int32_t peer = 0;
  int32_t chunk_begin = 0;
  int32_t chunk_count = 0;
  int32_t round = 0;
};

// A collective as pure data: what every rank does, round by round. The executor runs it, the cost model prices it.
class Schedule {
 public:
  virtual ~Schedule() = default;
  virtual absl::string_view name() const = 0;
  // Ordered by round. 0 <= rank < ranks; empty for ranks = 1.
  virtual std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const = 0;
};

// All-reduce schedules by name: "ring", "direct" (reduce-scatter and all-gather, all to all), "reduce_broadcast"
// (gradients to rank 0, summed in rank order, sent out). InvalidArgument names the known ones.
absl::StatusOr<std::unique_ptr<Schedule>> CreateSchedule(absl::string_view name);

struct CollectiveInfo {
  const char* name;
  const char* summary;
};
absl::Span<const CollectiveInfo> Collectives();

// Bytes that `rank` sends when `schedule` all-reduces `count` elements of `element_bytes`: the exact formula.
int64_t SentBytes(const Schedule& schedule, int32_t rank, int32_t ranks, int64_t count, int64_t element_bytes);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_SCHEDULE_H_
