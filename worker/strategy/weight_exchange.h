#ifndef RINGMASTER_WORKER_STRATEGY_WEIGHT_EXCHANGE_H_
#define RINGMASTER_WORKER_STRATEGY_WEIGHT_EXCHANGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/collective/executor.h"
#include "common/collective/group.h"
#include "common/collective/schedule.h"
#include "common/transport/wake.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// The schedule that `collective` (a name, or "auto") stands for, for floats, of every bucket, by so
// many workers. Errors as CreateSchedule.
absl::StatusOr<std::vector<std::unique_ptr<Schedule>>> BucketSchedules(absl::string_view collective,
                                                                       const WorkerLink& link,
                                                                       int32_t workers);

// Sums floats, bucket by bucket, with other workers, on an exchange thread of its own: what a
// strategy needs whose workers exchange weights. An arena lies ready for them; other floats may be
// summed where they are. Several buckets are in flight at once. Called by the step thread.
class WeightExchange {
 public:
  // What a bucket's sum in a step is made by, called by the exchange thread; outlives its use.
  using ScheduleOf = std::function<const Schedule&(int64_t step, int32_t bucket)>;

  explicit WeightExchange(const WorkerLink& link, ScheduleOf schedule_of);

  // [layout.count()] floats. The exchange's from StartArena to Wait. May be swapped for another
  // vector of the same size in between.
  std::vector<float>& arena() { return arena_; }
  // Copies the replica's weights, on the host, into the arena.
  void CopyWeights();

  // Starts the sum of one bucket of `step`, in place: `values` is the exchange's until Wait. Each
  // pair of step and bucket is used once. Never waits for a peer.
  void Start(int64_t step, const Bucket& bucket, absl::Span<float> values);
  // The same, for all buckets of the arena.
  void StartArena(int64_t step);
  // Returns when everything that `step` started is summed; counts as exposed.
  absl::Status Wait(int64_t step);

  // Where the run goes on without lost workers: whether something that `rank` was to send is not
  // there, and never will be. After Wait.
  bool IsLost(int32_t rank) const { return sums_.IsLost(rank); }

  // The first error so far, without waiting.
  absl::Status status() { return thread_.status(); }

  // The thread's times, and by what it summed in step 0. REQUIRES: nothing is under way.
  ExchangeReport Report();
  // Ends the thread and reports; nothing is started afterwards.
  ExchangeReport Finish();

 private:
  // Runs the schedules; the exchange thread's but for Wake.
  class Sums : public ExchangeWork {
   public:
    Sums(const WorkerLink& link, ScheduleOf schedule_of);
    absl::Status Run(const ExchangeTask& task, PhaseTimes& times) override;
    bool unfinished() const override { return executor_.in_flight() > 0; }
    absl::Status Advance(PhaseTimes& times) override;
    void Wake() override { wake_.Signal(); }
    bool IsLost(int32_t rank) const { return executor_.IsLost(rank); }

   private:
    const ScheduleOf schedule_of_;
    CollectiveExecutor executor_;
    ringmaster::Wake wake_;
  };

  const WorkerLink link_;
  const ScheduleOf schedule_of_;
  std::vector<float> arena_;
  Sums sums_;
  ExchangeThread thread_;  // last: it uses the above
};

// The average of all workers' replicas, for a drain and for marks: no traffic of any step. Of a run
// that goes on without lost workers it is that of those left. The step thread's.
class ReplicaAverage {
 public:
  // Sums by `collective`, a name or "auto". Errors as CreateSchedule.
  static absl::StatusOr<std::unique_ptr<ReplicaAverage>> Create(absl::string_view collective,
                                                                const WorkerLink& link);

  // From now on without these workers, ascending, which all others leave out at the same moment.
  // Errors as of Create. REQUIRES: this worker is none of them, and nothing is under way.
  absl::Status LeaveOut(absl::Span<const int32_t> lost);

  // `values`, [layout.count()], become the average of all workers' values: the sum that the
  // collective makes of each bucket, divided by N; the same bits everywhere. All workers call it
  // with the same `number`, each number once. Waits for them. Errors: CollectiveExecutor's.
  absl::Status Average(int64_t number, absl::Span<float> values);

 private:
  ReplicaAverage(absl::string_view collective, const WorkerLink& link);
  // What sums the values of the workers of `group`.
  absl::Status Prepare(Group group);

  const std::string collective_;
  const WorkerLink link_;
  std::vector<std::unique_ptr<Schedule>> schedules_;  // by bucket
  std::unique_ptr<CollectiveExecutor> executor_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_WEIGHT_EXCHANGE_H_
