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
#include "common/collective/plan.h"
#include "common/collective/schedule.h"
#include "common/transport/transport.h"

namespace ringmaster {

enum class ElementType { kFloat32, kFloat16 };
inline int64_t ElementBytes(ElementType type) { return type == ElementType::kFloat32 ? 4 : 2; }

// Limits of an executor. `piece_bytes` decides what messages there are and is the same on all ranks.
struct ExecutorOptions {
  absl::Duration wait_limit;        // how long one wait may last in which nothing at all is done
  int32_t in_flight_max = 8;        // collectives started and not finished
  int64_t piece_bytes = 512 << 10;  // see MakePlan
  int64_t ahead_bytes = 2 << 20;    // sends given to the transport and not yet out, to each peer
};

// Runs any schedule on any transport between workers 0..ranks-1, several collectives at once. One thread at a time:
// it starts collectives, and moves all of them on whenever it waits for one. Receives are posted and sends started as
// soon as the data they touch allow it; of the sends that could go, the oldest collective's go first, and of those the
// latest round's, so that a sum is sent on while it is still in the cache.
//
// Memory in flight is bounded, for the peers' sake too: what all others may send ahead to one rank that is late stays
// below kAheadBytesMax, or one collective's bytes if that is more. Nothing is allocated once each size of data has been
// seen as often in flight as it will be.
//
// Errors: the status names collective, step, bucket, round and peer ("ring step=12 bucket=3 round=2 peer=worker/1: ...").
// A collective that failed half way cannot be taken up again, so the executor aborts its transport with that status,
// takes back everything it started, and fails every later call with it.
class CollectiveExecutor {
 public:
  static constexpr int64_t kAheadBytesMax = 128 << 20;

  // A collective in flight, from 1, rising. 0: one that had nothing to do.
  using Ticket = int64_t;

  // `transport` is that of worker/`rank` and outlives the executor.
  CollectiveExecutor(Transport& transport, int32_t rank, int32_t ranks, const ExecutorOptions& options);
  CollectiveExecutor(Transport& transport, int32_t rank, int32_t ranks, absl::Duration wait_limit);
  CollectiveExecutor(const CollectiveExecutor&) = delete;
  CollectiveExecutor& operator=(const CollectiveExecutor&) = delete;

  // Starts `schedule` on `data`: whole elements of `type`, aligned to them; borrowed until the collective is finished,
  // when it holds what the schedule says: of an all-reduce the sum over all ranks, the same bits on every rank (the
  // order of addition is the schedule's, see CreateSchedule; halves are rounded after each addition). `step` and
  // `bucket` make the tags: all ranks call with the same ones, in the same order, and each pair is used for one
  // collective of the run. With one rank nothing happens. Waits only while too much is in flight. On an error `data`
  // is unspecified.
  absl::StatusOr<Ticket> Start(const Schedule& schedule, int64_t step, int32_t bucket, ElementType type,
                               absl::Span<std::byte> data);

  // Starts to bring every rank's message to every other: `own` is sent to all, and message r lands in received[r]
  // (capacity given by its size; shrunk to what came). received[rank] is left alone. Sizes may differ between ranks and
  // may be 0. For payloads that cannot be summed on the wire. Spans and memory are borrowed until it is finished.
  absl::StatusOr<Ticket> StartGather(int64_t step, int32_t bucket, absl::Span<const std::byte> own,
                                     absl::Span<absl::Span<std::byte>> received);

  // Whether `ticket` is not finished yet.
  bool InFlight(Ticket ticket) const;
  int32_t in_flight() const { return in_flight_; }

  // Sleeps until any message of any collective in flight, or `also` (an operation of the same transport; 0: none), is
  // done, and goes on with what waited for it. Returns whether it was `also`. Something must be in flight.
  absl::StatusOr<bool> Advance(OpId also);

  // Advances until `ticket`, or all, are finished.
  absl::Status Finish(Ticket ticket);
  absl::Status FinishAll();

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
  // What became of a question (see PlanOp).
  struct Lending {
    Loan loan;              // at who was asked: memory empty when nothing was lent
    bool answered = false;  // likewise: the sum is there already
    bool returned = false;  // at who asked
  };
  // One collective in flight, or a free place for one; its memory stays for the next.
  struct Flight {
    Ticket ticket = 0;  // 0: free
    CachedPlan* plan = nullptr;
    absl::string_view name;
    int64_t step = 0;
    int32_t bucket = 0;
    ElementType type = ElementType::kFloat32;
    int64_t bytes = 0;  // that it counts for in bytes_in_flight_
    absl::Span<std::byte> data;
    absl::Span<const std::byte> own;             // of a gather
    absl::Span<absl::Span<std::byte>> received;  // likewise
    std::vector<Received> sizes;                 // likewise, [ranks]
    std::vector<int32_t> waits_for;              // of each operation, what is not done yet
    std::vector<Lending> lendings;               // of each operation
    int32_t left = 0;                            // operations not done
    std::vector<std::byte> scratch;
  };
  struct OpRef {
    int32_t flight = 0;
    int32_t op = 0;
  };
  // A send that waits for its turn at its peer.
  struct WaitingSend {
    Ticket ticket = 0;
    int32_t round = 0;
    OpRef ref;
  };
  // Whether `b` goes first: the oldest collective, then the latest round, then the first piece.
  static bool Behind(const WaitingSend& a, const WaitingSend& b);
  struct Peer {
    int64_t ahead_bytes = 0;
    std::vector<WaitingSend> waiting;  // a heap
  };

  CachedPlan* PlanOf(const Schedule& schedule, int64_t count, ElementType type);
  absl::StatusOr<Flight*> TakeOff(CachedPlan* plan, int64_t step, int32_t bucket, int64_t bytes);
  absl::StatusOr<Ticket> Launch(Flight* flight);
  const PlanOp& OpOf(OpRef ref) const { return flights_[ref.flight].plan->plan.ops[ref.op]; }
  Tag TagOf(OpRef ref) const;
  // What a send sends, and where a receive or an addition goes.
  absl::Span<const std::byte> PayloadOf(OpRef ref) const;
  absl::Span<std::byte> TargetOf(OpRef ref);
  // The scratch of the receive `op`, or what was lent in its place.
  absl::Span<std::byte> ScratchOf(Flight& flight, int32_t op);

  // Starts what is ready_, and what becomes so meanwhile.
  absl::Status RunReady();
  absl::Status StartOp(OpRef ref);
  // Whether the operation, an answer, is no message since its question's memory was lent; then it has been given.
  bool AnswerInPlace(OpRef ref);
  // A receive is done whose memory may have been lent.
  void TakeLoan(OpRef ref);
  Outgoing OutgoingOf(OpRef ref);
  Incoming IncomingOf(OpRef ref);
  absl::Status StartReceive(OpRef ref);
  absl::Status SendMore(Peer* peer);
  void AddFromScratch(OpRef ref);
  // An awaited message is done.
  absl::Status MessageDone(OpRef ref);
  void Done(OpRef ref);
  void Land(Flight* flight);

  // `status`, of a wait for any, with the operation that it is about; and of `ref`.
  absl::Status Blame(const absl::Status& status);
  absl::Status Annotated(const absl::Status& status, OpRef ref) const;
  absl::Status Abandon(const absl::Status& why);
  void Forget(size_t place);

  Transport& transport_;
  const int32_t rank_;
  const int32_t ranks_;
  const ExecutorOptions options_;
  const std::unique_ptr<Schedule> barrier_;

  absl::Status failed_;
  std::vector<std::unique_ptr<CachedPlan>> plans_;
  CachedPlan gather_;

  std::vector<Flight> flights_;  // [in_flight_max]
  int32_t in_flight_ = 0;
  int64_t bytes_in_flight_ = 0;  // data and scratch
  Ticket last_ticket_ = 0;
  std::vector<Peer> peers_;      // [ranks]
  std::vector<OpRef> ready_;     // started next, last first

  // Started and not yet done: operation i is that of refs_[i]. Place 0 is kept for Advance's `also`.
  std::vector<OpId> ids_;
  std::vector<OpRef> refs_;
  float barrier_element_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_EXECUTOR_H_
