#ifndef RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_CLUSTER_DATA_H_
#define RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_CLUSTER_DATA_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/codec/memory.h"
#include "common/codec/reducer.h"
#include "common/params/param_layout.h"
#include "common/update/update_rule.h"
#include "experiments/study/predict/simulated_cluster.h"
#include "experiments/study/predict/simulated_data.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Fills the scaled gradient of one bucket, [bucket.count], from the worker's weights,
// [layout.count()].
using GradientOfWeights =
    std::function<void(int32_t rank, int64_t step, absl::Span<const float> weights,
                       const Bucket& bucket, absl::Span<float> out)>;

// Told that a rank begins to compute a step.
using StepObserver = std::function<void(int32_t rank, int64_t step)>;

// What a simulated worker works on: weights, two arenas of gradients, the codec with its memory and
// the update rule.
class WorkerMemory : public StepData, public RankData, public PsWorkerData {
 public:
  // `spec`, `layout`, `gradient` and `observe` outlive this.
  WorkerMemory(const RunSpec& spec, const ParamLayout& layout,
               const std::vector<float>& initial_weights, int32_t rank,
               const GradientOfWeights& gradient, const StepObserver& observe);

  absl::Span<const float> weights() const { return front_; }

  // StepData.
  void Compute(int64_t step) override;
  void Update(int64_t step) override;

  // RankData.
  void Encode(int64_t step, int32_t bucket) override;
  void Start(int32_t flight, int64_t step, int32_t bucket, const Plan& plan) override;
  void StartWeights(int32_t flight, int32_t bucket, const Plan& plan) override;
  Payload Send(int32_t flight, const PlanOp& op) override;
  void Receive(int32_t flight, const PlanOp& op, const Payload& payload) override;
  void Add(int32_t flight, const PlanOp& op) override;
  void Finish(int32_t flight) override;

  // PsWorkerData.
  Payload Push(int32_t server, int64_t exchange, int32_t bucket) override;
  void MeasureDistance() override;
  void Receive(int32_t server, int32_t bucket, const Payload& payload) override;
  void Deliver() override;
  void Swap() override;

 private:
  struct Flight {
    const Plan* plan = nullptr;
    int32_t bucket = 0;
    SharedStream stream;
    absl::Span<float> gradient;
    absl::Span<std::byte> data;
    std::vector<std::byte> scratch;
    std::vector<std::vector<std::byte>> received;  // of a gather, by rank
  };

  void StartOn(absl::Span<std::byte> data, const Plan& plan, Flight* started) const;
  absl::Span<float> Gradient(int64_t step, int32_t bucket);
  absl::Span<std::byte> Target(Flight& flight, const PlanOp& op) const;
  absl::Span<std::byte> Scratch(Flight& flight, int32_t receive) const;
  void AddBytes(absl::Span<const std::byte> from, absl::Span<std::byte> to) const;

  const RunSpec& spec_;
  const ParamLayout& layout_;
  const int32_t rank_;
  const int32_t servers_;
  const bool keeps_;  // weights arrive in memory of their own while others wait to be taken
  const GradientOfWeights& gradient_;
  const StepObserver& observe_;
  const CodecTraits traits_;
  const std::unique_ptr<Codec> codec_;  // null where sums go in rounds
  const std::unique_ptr<CodecMemory> memory_;
  const std::unique_ptr<Reducer> reducer_;  // null where they do not
  std::vector<ReducerRound> rounds_;        // by bucket
  const std::unique_ptr<UpdateRule> update_;
  std::vector<float> front_, back_, arriving_;
  int64_t computed_ = 0;                // the last step
  std::vector<float> base_, distance_;  // with steps made alone: what was swapped in last
  std::vector<float> gradients_[2];
  std::vector<std::vector<std::byte>> encoded_[2];  // by server * buckets + bucket
  std::vector<Flight> flights_;
};

// What a simulated server works on.
class ServerMemory : public ServerData {
 public:
  ServerMemory(const RunSpec& spec, const ParamLayout& layout,
               const std::vector<float>& initial_weights, int32_t index);

  const std::vector<Range>& parts() const { return parts_; }

  absl::Span<float> weights() override { return absl::MakeSpan(weights_); }
  absl::Span<const float> Decode(int32_t worker, int32_t part, int64_t exchange,
                                 const Payload& payload) override;
  void Return(int32_t worker, int32_t part) override;
  void Copy(int32_t worker, const Tag& tag) override;
  Payload Send(int32_t worker, int32_t part) override;

 private:
  const uint64_t run_seed_;
  const int32_t index_, servers_;
  const std::vector<Range> parts_;
  const bool answers_from_shard_;
  const std::unique_ptr<Codec> codec_;
  std::vector<int64_t> begins_;  // of each part in the shard's arena
  std::vector<float> weights_;
  std::vector<std::vector<float>> replies_;             // by worker
  std::vector<std::vector<std::vector<float>>> inbox_;  // by worker and part
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_CLUSTER_DATA_H_
