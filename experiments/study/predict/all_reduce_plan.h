#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ALL_REDUCE_PLAN_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ALL_REDUCE_PLAN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/collective/plan.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "experiments/study/predict/costs.h"

namespace ringmaster {

class EncodingSizes;
class RunSpec;

// How the buckets of a run are summed, for all ranks. Buckets of one size share their plans.
// Merged: for rank 0, which is played alone and stands for all. It gets what it sends itself, as if
// from the rank at the same distance on its other side; buckets are rounded up to chunks of one
// size.
struct AllReducePlan {
  // One sum.
  struct Round {
    // by rank, merged of rank 0 alone; one set for each exchange that differs from the one before,
    // and again
    std::vector<std::shared_ptr<const std::vector<Plan>>> plans;
    std::shared_ptr<const std::vector<Plan>> gathers;  // of updated weights, by rank; null: none
    // of weights, for the average of all, by rank; null: none
    std::shared_ptr<const std::vector<Plan>> averages;
    // of what is summed, and of what lies beside it; of a gather, of a rank's own message
    int64_t bytes = 0;
  };
  struct OfBucket {
    std::vector<Round> rounds;         // one after the other; mostly one
    std::vector<Round> warmup_rounds;  // in their place in the first warmup_steps
    double encode = 0;                 // seconds, of a rank, before the first
    double between = 0;                // before each other
    double decode = 0;                 // after the last
  };
  std::vector<OfBucket> buckets;
  SchemeTraits scheme;
  bool merged = false;
  int64_t warmup_steps = 0;  // in which buckets have rounds of their own
  double update_share = 1;   // of the weights, how much a worker updates
  int32_t encoded_max = 0;   // buckets that hold an encoding at once; 0: gradients go as they are
  const EncodingSizes* sizes = nullptr;  // CodecCosts::sizes
  bool in_rounds = false;                // sums start in the order of reducer_sum.h
  // What neighbours send lies apart, since one may be lost (GossipArrival::kApart).
  bool is_apart = false;
};

// The elements that each round of the layout's buckets sums in `step`, where the spec's codec is
// summed in rounds; otherwise empty. Without `step`: after a warm-up.
std::vector<std::vector<int64_t>> RoundsOf(const RunSpec& spec, const ParamLayout& layout);
std::vector<std::vector<int64_t>> RoundsOf(const RunSpec& spec, const ParamLayout& layout,
                                           int64_t step);

// As the strategy plans it (worker/strategy/all_reduce/executor_sum.cc, reducer_sum.cc, and
// sharded_optimizer). `spec` is resolved, and has a collective of ours. Unimplemented: it is to be
// merged, and ranks have different parts in it.
absl::StatusOr<AllReducePlan> PlanAllReduce(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                            const CodecCosts& costs, bool merged = false);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ALL_REDUCE_PLAN_H_
