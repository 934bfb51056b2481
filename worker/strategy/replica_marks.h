#ifndef RINGMASTER_WORKER_STRATEGY_REPLICA_MARKS_H_
#define RINGMASTER_WORKER_STRATEGY_REPLICA_MARKS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/partition.h"
#include "common/collective/executor.h"
#include "common/config/describe.h"
#include "common/exchange/snapshot_store.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// What a worker keeps of the model at marks where the replicas of all workers that train are the
// same after every step: its share of the arena, so that all of them together keep each mark once.
// Memory is taken by the constructor. The step thread's.
class ReplicaMarks {
 public:
  explicit ReplicaMarks(const WorkerLink& link);

  // `step` has ended, and its update is in the replica's weights, which lie on the host. Copies the
  // share if that was a mark. Waits for nobody and allocates nothing.
  void StepEnded(int64_t step);

  // SyncStrategy::Recall: gathers the shares of all workers, over the strategy's transport, on a
  // channel of its own. The strategy's exchange stands still meanwhile. Errors: those of
  // CollectiveExecutor, and Internal where a share has another size.
  absl::StatusOr<MarkedModel> Recall(int32_t mark);

  // Of the shares that have not been given up.
  int64_t bytes() const { return copies_.bytes(); }

 private:
  Range ShareOf(int32_t rank) const { return Part(link_.layout->count(), ranks_, rank); }
  // Brings the other workers' shares to their places in recalled_.
  absl::Status Gather(int32_t mark);

  const WorkerLink link_;
  const int32_t ranks_;  // workers that train
  const std::vector<SampleMark> marks_;
  SnapshotStore copies_;
  std::vector<Clock::time_point> passed_;         // by mark
  size_t next_ = 0;                               // mark
  std::vector<float> recalled_;                   // the arena at the mark last asked for
  std::unique_ptr<CollectiveExecutor> executor_;  // from the first gather on
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_REPLICA_MARKS_H_
