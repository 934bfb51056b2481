#ifndef RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_
#define RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/collective/schedule.h"
#include "common/transport/transport.h"

namespace ringmaster {

enum class ElementType { kFloat32, kFloat16 };
inline int64_t ElementBytes(ElementType type) { return type == ElementType::kFloat32 ? 4 : 2; }

// Runs any schedule on any transport between workers 0..ranks-1. One thread at a time.
//
// Errors: the status names collective, step, bucket, round and peer ("ring step=12 bucket=3 round=2 peer=worker/1: ...").
// A collective that failed half way cannot be taken up again, so the executor aborts its transport with that status,
// waits for everything it started, and fails every later call.
class CollectiveExecutor {
 public:
  // `transport` is that of worker/`rank` and outlives the executor. `wait_limit`: how long a round may take.
  CollectiveExecutor(Transport& transport, int32_t rank, int32_t ranks, absl::Duration wait_limit);

  // data: whole elements of `type`, aligned to them; on return the sum over all ranks, the same bits on every rank (the
  // order of addition is the schedule's, see CreateSchedule; halves are rounded after each addition). Borrowed.
  // `step` and `bucket` make the tags: all ranks call with the same ones, and each pair is used for one collective of
  // the run. With one rank nothing happens. On an error `data` is unspecified.
  absl::Status AllReduce(const Schedule& schedule, int64_t step, int32_t bucket, ElementType type,
                         absl::Span<std::byte> data);

  // Every rank's message to every other: `own` is sent to all, and message r lands in received[r] (capacity given by
  // its size; shrunk to what came). received[rank] is left alone. Sizes may differ between ranks and may be 0. For
  // payloads that cannot be summed on the wire. `step` and `bucket` as above.
  absl::Status AllGather(int64_t step, int32_t bucket, absl::Span<const std::byte> own,
                         absl::Span<absl::Span<std::byte>> received);

 private:
  // The steps [begin, end) of one round: sends, then receives.
  struct Round {
    size_t begin = 0;
    size_t end = 0;
    bool post_early = false;  // its receives touch nothing that the round before reads or writes
  };
  // A posted receive and what is left to add when its bytes are there.
  struct Receive {
    int32_t peer = 0;
    OpId op = 0;
    absl::Span<std::byte> out;
    absl::Span<std::byte> base;  // not empty: out is added here
    absl::Span<std::byte> data;  // not empty: then base, or out if there is no base, is added here
  };
  struct Send {
    int32_t peer = 0;
    OpId op = 0;
  };
  // What one call is about.
  struct Call {
    absl::string_view name;
    int64_t step = 0;
    int32_t bucket = 0;
    ElementType type = ElementType::kFloat32;
    absl::Span<std::byte> data;
  };

  void Prepare(const Schedule& schedule);
  absl::Span<std::byte> BytesOf(const Call& call, const Step& step) const;
  absl::Status PostRound(const Call& call, const Round& round);
  absl::Status PostAdds(const Call& call, absl::Span<const Step> adds);
  absl::Status PostOne(const Call& call, const Step& step, ReceiveMode mode, Receive receive);
  absl::Status StartSends(const Call& call, const Round& round);
  absl::Status FinishReceives(const Call& call, size_t end, int32_t round, absl::Time deadline);
  absl::Status FinishSends(const Call& call, int32_t round, absl::Time deadline);
  absl::Status RunRounds(const Call& call);
  absl::Status Gather(const Call& call, absl::Span<const std::byte> own, absl::Span<absl::Span<std::byte>> received);
  absl::Status Abandon(const absl::Status& why);

  Transport& transport_;
  const int32_t rank_;
  const int32_t ranks_;
  const absl::Duration wait_limit_;

  // The plan of the schedule last used: schedules are few and asked for every bucket.
  std::string planned_;
  std::vector<Step> steps_;
  std::vector<Round> rounds_;

  // Of the call that runs; members so that a timed step allocates nothing.
  std::vector<Receive> receives_;       // posted, in order; those before finished_ are done
  size_t finished_ = 0;
  std::vector<Send> sends_;             // of the current round, not yet waited for
  std::vector<std::byte> scratch_;      // contributions that wait for their turn
  std::vector<Received> gathered_;      // [ranks]
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_
