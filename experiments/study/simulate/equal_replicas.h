#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_EQUAL_REPLICAS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_EQUAL_REPLICAS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "common/trace/trace.h"
#include "experiments/study/predict/all_reduce_plan.h"
#include "experiments/study/simulate/planned_sum.h"
#include "worker/loop/host_replica.h"

namespace ringmaster {

class RunSpec;

// The replicas of all simulated workers where these are equal after equally many updates. What
// every worker would make of the same bits is made once, when the first of them has it: a bucket's
// sum, in the order of the collective's plans, and an update. N workers learn so with the memory
// and the additions of one. One thread.
class EqualReplicas {
 public:
  // What the codec's sums are made with.
  struct Decoding {
    std::unique_ptr<Codec> codec;
    uint64_t seed = 0;  // the run's
  };

  // Whether a run's workers are of that kind: all update all weights by sums of gradients, or of
  // encodings.
  static bool Serve(const SchemeTraits& scheme, const CodecTraits& codec);

  // REQUIRES: Serve for the traits of `spec` (resolved). `layout` and `plan`, that of the run's
  // exchange, outlive this. Errors as of HostReplica::Create.
  static absl::StatusOr<std::unique_ptr<EqualReplicas>> Create(
      const RunSpec& spec, const ParamLayout& layout, const AllReducePlan& plan,
      const std::vector<float>& initial_weights, Decoding decoding);

  // Of the rank: after its own updates. They stay until its next one.
  absl::Span<const float> weights(int32_t rank) const;

  // What the rank brings to the bucket's sum: its gradient, or its encoding. It stays until
  // Finish.
  void Start(int32_t rank, int64_t step, int32_t bucket, absl::Span<const std::byte> data);
  // A rank has the sum, so all have started. Errors of the codec.
  absl::Status Finish(int64_t step, int32_t bucket);
  // The rank has the sums of all buckets of `step`, and updates its weights by them; its updates
  // are of steps 0, 1, 2, ... Errors of HostReplica::Apply.
  absl::Status Update(int32_t rank, int64_t step);

 private:
  struct Version {
    std::vector<float> weights;  // of the newest: the replica's
    int32_t ranks = 0;           // that are there
  };
  struct Exchange {
    std::vector<std::vector<absl::Span<const std::byte>>> data;  // by bucket and rank
    std::vector<int32_t> started;                                // by bucket: ranks
    std::vector<bool> summed;                                    // by bucket
    std::vector<float> average;
  };

  EqualReplicas(const ParamLayout& layout, const AllReducePlan& plan, Decoding decoding);
  // Updates that have been made.
  int64_t made() const { return oldest_ + static_cast<int64_t>(versions_.size()) - 1; }
  Exchange& ExchangeOf(int64_t step);
  const PlannedSum& SumOf(int32_t bucket);
  absl::Status Sum(int64_t step, int32_t bucket, Exchange& exchange);
  absl::Status MakeVersion(int64_t step);

  const ParamLayout& layout_;
  const AllReducePlan& plan_;
  const int32_t ranks_;
  const Decoding decoding_;
  const CodecTraits traits_;
  PhaseTimes times_;  // nobody reads them
  std::unique_ptr<HostReplica> replica_;
  int64_t oldest_ = 0;                     // updates that versions_.front() is after
  std::deque<Version> versions_;           // that a rank is at, or was
  std::vector<int64_t> updates_;           // by rank
  std::map<int64_t, Exchange> exchanges_;  // by step; under way
  std::vector<Exchange> spare_;
  PlannedSums sums_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_EQUAL_REPLICAS_H_
