#ifndef RINGMASTER_WORKER_LOOP_LOT_ORDER_H_
#define RINGMASTER_WORKER_LOOP_LOT_ORDER_H_

#include <atomic>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "common/control/dealing.h"
#include "worker/loop/conductor.h"

namespace ringmaster {

// Which lots a worker computes, one after the other: those that it is dealt, or those that it
// claims. It claims one claim ahead of the one that is being computed, so no step waits for the
// answer. A claim has one lot, or as many as take about 4 ms (at most 16) where steps are shorter
// than that: an answer takes two messages and about 0.1 ms.
class LotOrder {
 public:
  // What the order follows from.
  struct Plan {
    int32_t rank = 0, ranks = 1;
    int32_t shares = 1;                 // StepShape's
    int64_t first_step = 0, steps = 0;  // of the run
    bool claims = false;
    // lots of a lost worker are dealt again: the coordinator is told which are settled
    bool settles = false;
    // batches are made by the step thread, which must not wait for an answer
    bool asks_early = false;
  };
  // `conductor` and `progress` outlive it.
  LotOrder(const Plan& plan, Conductor* conductor, WorkerProgress* progress);

  // The next lot; nullopt: no work is left. Waits for the answer to a claim. Whoever makes batches
  // calls it, in one thread.
  absl::StatusOr<std::optional<int64_t>> Next();

  // How many lots a worker gets at most.
  int64_t count_max() const { return count_max_; }
  // A step takes so long. Any thread.
  void NoteStep(double seconds) { step_seconds_.store(seconds, std::memory_order_relaxed); }
  // The first `count` of all lots given are settled: whatever becomes of this worker, nobody makes
  // them again. Any thread, one at a time. REQUIRES: plan.settles; never fewer than before.
  void NoteSettled(int64_t count);
  // No lot is wanted any more: ends a wait in Next. Any thread.
  void Stop();

 private:
  std::optional<int64_t> NextDealt();
  absl::StatusOr<std::optional<int64_t>> NextClaimed();
  void Ask();
  void TellBeforeWaiting();

  const Plan plan_;
  Conductor& conductor_;
  WorkerProgress& progress_;
  const int64_t count_max_;
  int64_t given_ = 0;
  bool asked_ = false;
  LotClaim claim_;  // lots that are not given yet
  std::atomic<double> step_seconds_{1};
  // Who settles lots counts them and then looks whether somebody is kept waiting by them; who is
  // about to wait says so and then looks at the count: one of the two tells the coordinator.
  std::atomic<int64_t> settled_{0};
  std::atomic<bool> tells_at_once_{false};
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_LOT_ORDER_H_
