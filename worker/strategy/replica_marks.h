#ifndef RINGMASTER_WORKER_STRATEGY_REPLICA_MARKS_H_
#define RINGMASTER_WORKER_STRATEGY_REPLICA_MARKS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/partition.h"
#include "common/collective/executor.h"
#include "common/config/describe.h"
#include "common/exchange/kept_marks.h"
#include "worker/strategy/strategy.h"
#include "worker/strategy/weight_exchange.h"

namespace ringmaster {

// What the model at a mark is made of, where it is not the replica that all workers have alike.
struct MarkSource {
  // The model as every worker has it after a step and after the last drain: on the host, or the
  // replica's weights. Null: always these.
  std::function<WeightsView()> model;
  // Not null: the model is the average of all workers' replicas, made by this, which outlives the
  // marks.
  ReplicaAverage* average = nullptr;
};

// What a worker keeps of the model at marks where workers hold the weights. Where all that train
// have the model after every step it is a share of the arena, so that all of them together keep
// each mark once; where the model is their average, or a worker may be lost
// (WorkerLink::kept_marks), it is the whole. Memory is taken by the constructor. The step thread's.
class ReplicaMarks {
 public:
  explicit ReplicaMarks(const WorkerLink& link, MarkSource source = {});

  // `step` has ended, and its update is in the replica's weights. Copies the share if that was a
  // mark. `equal`: the replicas of all workers are the same bits at this moment, so that no average
  // is needed; all workers say the same. Waits for no other worker and allocates nothing.
  void StepEnded(int64_t step, bool equal = false);

  // SyncStrategy::Recall: gathers the shares of all workers, over the strategy's transport, on a
  // channel of its own, or averages their copies. The strategy's exchange stands still meanwhile.
  // Errors: those of CollectiveExecutor, and Internal where a share has another size.
  absl::StatusOr<MarkedModel> Recall(int32_t mark);

  // Of the shares that have not been given up.
  int64_t bytes() const { return kept_.copies.bytes(); }

 private:
  // What `rank` keeps of the arena.
  Range ShareOf(int32_t rank) const {
    if (source_.average != nullptr || link_.kept_marks != nullptr)
      return {0, link_.layout->count()};
    return Part(link_.layout->count(), ranks_, rank);
  }
  // [layout.count()], the model as it is now.
  absl::Span<const float> ModelOnHost() const;
  // Brings the other workers' shares to their places in recalled_.
  absl::Status Gather(int32_t mark);

  const WorkerLink link_;
  const MarkSource source_;
  const int32_t ranks_;  // workers that train
  const std::vector<SampleMark> marks_;
  KeptMarks own_;  // where the link has none
  KeptMarks& kept_;
  std::vector<bool> equal_;                       // by mark
  size_t next_ = 0;                               // mark
  std::vector<float> recalled_;                   // the arena at the mark last asked for
  std::unique_ptr<CollectiveExecutor> executor_;  // from the first gather on
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_REPLICA_MARKS_H_
