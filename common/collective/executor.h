#ifndef RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_
#define RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/element_type.h"
#include "common/collective/collective_core.h"
#include "common/collective/group.h"
#include "common/collective/plan.h"
#include "common/collective/schedule.h"
#include "common/transport/transport.h"

namespace ringmaster {

// `piece_bytes` decides what messages there are and is the same on all ranks.
struct ExecutorOptions {
  absl::Duration wait_limit;  // how long one wait may last in which nothing at all is done
  int64_t piece_bytes = kPlanPieceBytes;  // see MakePlan
  CollectiveLimits limits;
  // A rank that is lost (Fabric::Forget) fails nothing: its messages are over, and where they were
  // to be stored lies anything. Only for schedules that add nothing that they receive.
  bool outlives_ranks = false;
};

// What names a collective's messages, with the group's nodes: each place is used for one
// collective.
struct CollectivePlace {
  int64_t step = 0;
  int32_t bucket = 0;
  uint16_t channel = 0;
};

// Runs any schedule on any transport between the nodes of a group, several collectives at once: the
// shell that drives a CollectiveCore, which decides what goes when and bounds what is in flight.
// One thread at a time: it starts collectives, and moves all of them on whenever it waits for one.
// Nothing is allocated once each size of data has been seen as often in flight as it will be.
//
// Errors: the status names collective, step, bucket, round and peer ("ring step=12 bucket=3 round=2
// peer=worker/1:
// ..."). A collective that failed half way cannot be taken up again, so the executor aborts its
// transport with that status, takes back everything it started, and fails every later call with it.
class CollectiveExecutor {
 public:
  // A collective in flight, from 1, ascending. 0: one that had nothing to do.
  using Ticket = CollectiveCore::Ticket;

  // `transport` is that of one of the group's nodes and outlives the executor's use. After an error
  // the executor must outlive the transport's fabric: what is on its way may still be written to
  // the executor's memory.
  CollectiveExecutor(Transport& transport, Group group, const ExecutorOptions& options);
  CollectiveExecutor(Transport& transport, Group group, absl::Duration wait_limit);
  CollectiveExecutor(const CollectiveExecutor&) = delete;
  CollectiveExecutor& operator=(const CollectiveExecutor&) = delete;

  int32_t rank() const { return rank_; }
  int32_t ranks() const { return group_.ranks(); }

  // Starts `schedule` on `data`: whole elements of `type`, aligned to them; borrowed until the
  // collective is finished, when it holds what the schedule says: of an all-reduce the sum over all
  // ranks, the same bits on every rank (the order of addition is the schedule's, see
  // CreateSchedule; halves are rounded after each addition). `step` and `bucket`, with the group's
  // channel, make the tags: all ranks call with the same ones, in the same order, and each pair is
  // used for one collective of the channel, or for several whose rounds differ. With one rank
  // nothing happens. Waits only while too much is in flight. On an error `data` is unspecified.
  absl::StatusOr<Ticket> Start(const Schedule& schedule, int64_t step, int32_t bucket,
                               ElementType type, absl::Span<std::byte> data);

  // The same on a channel that need not be the group's, for several collectives of one step and
  // bucket.
  absl::StatusOr<Ticket> Start(const Schedule& schedule, const CollectivePlace& place,
                               ElementType type, absl::Span<std::byte> data);

  // Starts to bring every rank's message to every other: `own` is sent to all, and message r lands
  // in received[r] (capacity given by its size; shrunk to what came). received[rank] is left alone.
  // Sizes may differ between ranks and may be 0. For payloads that cannot be summed on the wire.
  // Spans and memory are borrowed until it is finished.
  absl::StatusOr<Ticket> StartGather(int64_t step, int32_t bucket, absl::Span<const std::byte> own,
                                     absl::Span<absl::Span<std::byte>> received);

  // Whether `ticket` is not finished yet.
  bool InFlight(Ticket ticket) const { return core_.InFlight(ticket); }
  int32_t in_flight() const { return core_.in_flight(); }

  // Whether a message of `rank` was over without having come, since the rank is lost.
  bool IsLost(int32_t rank) const { return lost_[rank]; }

  // Sleeps until any message of any collective in flight, or `also` (an operation of the same
  // transport; 0: none), is done, and goes on with what waited for it. Returns whether it was
  // `also`. Something must be in flight.
  absl::StatusOr<bool> Advance(OpId also);

  // Advances until `ticket` is finished.
  absl::Status Finish(Ticket ticket);

  // Start and Finish in one.
  absl::Status AllReduce(const Schedule& schedule, int64_t step, int32_t bucket, ElementType type,
                         absl::Span<std::byte> data);
  absl::Status AllGather(int64_t step, int32_t bucket, absl::Span<const std::byte> own,
                         absl::Span<absl::Span<std::byte>> received);

  // Returns when all ranks have called it: a binomial tree's all-reduce of one element.
  absl::Status Barrier(int64_t step, int32_t bucket);

 private:
  struct CachedPlan {
    std::string schedule;
    int64_t count = 0;
    int64_t element_bytes = 0;
    Plan plan;
    int32_t uses = 0;  // in flight
  };
  struct Work {
    CachedPlan* plan = nullptr;
    absl::string_view name;
    CollectivePlace place;
    ElementType type = ElementType::kFloat32;
    absl::Span<std::byte> data;
    absl::Span<const std::byte> own;             // of a gather
    absl::Span<absl::Span<std::byte>> received;  // of a gather
  };
  // Of a message with an answer (see PlanOp).
  struct Lending {
    Loan loan;              // of a receive: memory empty when nothing was lent
    bool returned = false;  // of a send
  };
  // What the core's flight of that number works on; its memory stays for the next.
  struct Flight {
    Work work;
    std::vector<Received> sizes;     // of a gather, [ranks]
    std::vector<Lending> lendings;   // of each operation
    std::vector<Received> arrivals;  // of each operation, where ranks may be lost
    // Not initialized: where memory is lent in its place it takes none.
    std::unique_ptr<std::byte[]> scratch;
    int64_t scratch_bytes = 0;
  };

  CachedPlan* PlanOf(const Schedule& schedule, int64_t count, ElementType type);
  // Starts `work` once there is room for it. `bytes`: of its data, or of its own message.
  absl::StatusOr<Ticket> Launch(const Work& work, int64_t bytes);
  Tag TagOf(OpRef ref) const;
  // What a send sends, and where a receive or an addition goes.
  absl::Span<const std::byte> PayloadOf(OpRef ref) const;
  absl::Span<std::byte> TargetOf(OpRef ref);
  // The scratch of the receive `op`, or what was lent in its place.
  absl::Span<std::byte> ScratchOf(Flight& flight, int32_t op);
  absl::Span<std::byte> LentBy(OpRef question) {
    return flights_[question.flight].lendings[question.op].loan.memory;
  }

  // Does what the core has decided.
  absl::Status Act();
  absl::Status Act(const CollectiveAction& action);
  Outgoing OutgoingOf(OpRef ref);
  Incoming IncomingOf(OpRef ref);
  absl::Status Await(const absl::StatusOr<OpId>& id, OpRef ref);
  // Where ranks may be lost: what came in the place of a message that was received.
  absl::Status CheckArrival(OpRef ref);
  void Land(Flight* flight);

  // `status`, of a wait for any, with the operation that it is about; and of `ref`.
  absl::Status Blame(const absl::Status& status);
  absl::Status Annotated(const absl::Status& status, OpRef ref) const;
  absl::Status Abandon(const absl::Status& why);
  void Forget(size_t place);

  Transport& transport_;
  const Group group_;
  const int32_t rank_;
  const ExecutorOptions options_;
  const std::unique_ptr<Schedule> barrier_;

  absl::Status failed_;
  std::vector<std::unique_ptr<CachedPlan>> plans_;
  CachedPlan gather_;

  CollectiveCore core_;
  std::vector<CollectiveAction> actions_;
  std::vector<Flight> flights_;  // [in_flight_max]
  std::vector<bool> lost_;       // [ranks]

  // Started and not yet done: operation i is that of refs_[i]. Place 0 is kept for Advance's
  // `also`.
  std::vector<OpId> ids_;
  std::vector<OpRef> refs_;
  float barrier_element_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_
