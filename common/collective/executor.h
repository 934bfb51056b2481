#ifndef RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_
#define RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/collective/schedule.h"
#include "common/transport/transport.h"

namespace ringmaster {

enum class ElementType { kFloat32, kFloat16 };
inline int64_t ElementBytes(ElementType type) { return type == ElementType::kFloat32 ? 4 : 2; }

// Runs any schedule on any transport between workers 0..ranks-1. One thread at a time.
class CollectiveExecutor {
 public:
  // `transport` is that of worker/`rank` and outlives the executor.
  CollectiveExecutor(Transport& transport, int32_t rank, int32_t ranks, absl::Duration wait_limit);

  // data: [count] elements of `type`; on return the sum over all ranks, the same bits on every rank.
  // `step` and `bucket` make the tags; all ranks must call with the same ones in the same order. On an error the
  // status says which schedule, step, bucket, round and peer; `data` is then unspecified.
  absl::Status AllReduce(const Schedule& schedule, int64_t step, int32_t bucket, ElementType type,
                         absl::Span<std::byte> data);

  // Every rank's message to every other: `own` is sent to all, and message r lands in received[r] (capacity given by
  // its size; shrunk to what came). received[rank] is left alone. For payloads that cannot be summed on the wire.
  absl::Status AllGather(int64_t step, int32_t bucket, absl::Span<const std::byte> own,
                         absl::Span<absl::Span<std::byte>> received);

 private:
  Transport& transport_;
  const int32_t rank_;
  const int32_t ranks_;
  const absl::Duration wait_limit_;
  // The steps of the schedule last used: schedules are few and asked for every bucket.
  const Schedule* cached_schedule_ = nullptr;
  std::vector<Step> cached_steps_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_
