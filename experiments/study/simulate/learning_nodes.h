#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_LEARNING_NODES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_LEARNING_NODES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/codec/memory.h"
#include "common/codec/reducer.h"
#include "common/exchange/held_weights.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "common/state/state.h"
#include "common/trace/trace.h"
#include "experiments/study/predict/simulated_data.h"
#include "experiments/study/simulate/equal_replicas.h"
#include "experiments/study/simulate/rank_flights.h"
#include "experiments/study/simulate/size_keeper.h"
#include "experiments/study/simulate/worker_gradients.h"
#include "proto/run_spec.pb.h"
#include "server/down_link.h"
#include "worker/loop/host_replica.h"
#include "worker/strategy/neighbour_weights.h"
#include "worker/strategy/weight_rule.h"

namespace ringmaster {

// What all nodes of a simulation share; it outlives them.
struct LearningRun {
  const RunSpec* spec = nullptr;  // resolved
  const ParamLayout* layout = nullptr;
  WorkerGradients* gradients = nullptr;
  // What all workers hold together, where EqualReplicas::Serve; null: each has a replica of its
  // own, and messages carry all bytes.
  EqualReplicas* equal = nullptr;
  // For tests: memory that a transport may read is watched (PayloadOf), and memory that nobody may
  // read holds no numbers.
  bool watches_memory = false;
  // Told why a node cannot go on: what would end a run. It then does as if it could.
  std::function<void(const absl::Status& why)> fail;
  SizeKeeper* sizes = nullptr;  // told what each encoding takes; null: nobody asks
};

// The codec of a resolved spec's gradients, as the strategies apply it
// (worker/strategy/all_reduce): a worker that is alone sends nothing, and its gradient is taken as
// it is.
CodecSpec GradientCodec(const RunSpec& spec, const SchemeTraits& scheme);

// A simulated worker that learns: a replica, its own or one of equal ones, two arenas of gradients,
// and the codec with its memory. What its exchange thread and its step thread do is done at the
// moment at which they would do it; the bits are those of a real worker. One thread.
class LearningWorker : public StepData, public RankData, public PsWorkerData {
 public:
  // Errors as of the codec, and of HostReplica::Create.
  static absl::StatusOr<std::unique_ptr<LearningWorker>> Create(
      const LearningRun& run, const std::vector<float>& initial_weights, int32_t rank);

  absl::Span<const float> weights() const {
    return run_.equal != nullptr ? run_.equal->weights(rank_) : replica_->weights().host();
  }
  // The center that the last drain has brought, where servers hold it.
  absl::Span<const float> center() const { return center_; }
  // The model as far as the worker knows it: what is made of all workers' weights it knows after a
  // drain.
  absl::Span<const float> model() const;
  // Mean losses of the steps whose gradients somebody has asked for, in order.
  const std::vector<float>& losses() const { return losses_; }
  // A worker with a replica of its own, between two steps: all that it goes on from, of which
  // another of the same spec and layout, or of fewer workers, goes on with the same bits. Take:
  // before its first step. Errors: as of HostReplica, and of the codec's memory. REQUIRES: it
  // exchanges gradients, and makes no steps alone.
  absl::StatusOr<State> Give() const;
  absl::Status Take(const State& state);
  Replica* replica() { return replica_.get(); }  // null where all are equal
  // Told at the end of each step how many updates the worker has made itself.
  void ObserveSteps(std::function<void(int64_t updates)> observe) { observe_ = std::move(observe); }

  // StepData.
  void Compute(int64_t step, int64_t lot) override;
  void Update(int64_t step) override;
  void StepEnded(int64_t step) override {
    if (observe_) observe_(updates_);
  }

  // RankData.
  void Encode(int64_t step, int32_t bucket) override;
  void Start(int32_t flight, int64_t step, int32_t bucket, const Plan& plan) override;
  void StartWeights(int32_t flight, int32_t bucket, const Plan& plan) override;
  void CopyWeights() override;
  void StartCopy(int32_t flight, int32_t bucket, const Plan& plan) override;
  void StartApart(int32_t flight, int32_t bucket, const Plan& plan) override;
  void Lose(int32_t rank) override { neighbours_->Lose(rank); }
  void TakeSum() override;
  void TakeSumOfAll(int32_t workers) override;
  Payload Send(int32_t flight, const PlanOp& op) override;
  void Receive(int32_t flight, const PlanOp& op, const Payload& payload) override;
  void Add(int32_t flight, const PlanOp& op) override;
  void Finish(int32_t flight) override;

  // PsWorkerData.
  Payload Push(int32_t server, int64_t exchange, int32_t bucket) override;
  void MeasureDistance() override;
  void Receive(int32_t server, const Tag& tag, const Payload& payload) override;
  void Deliver() override;
  void Swap(MessageKind from) override;

 private:
  // What is done with a flight's sum, or with what it has gathered.
  struct Decoding {
    int32_t bucket = 0;
    SharedStream stream;
    absl::Span<float> gradient;
  };
  // A flight of equal replicas, whose messages have sizes alone.
  struct OfEquals {
    int64_t step = 0;
    int32_t bucket = 0;
    Payload encoding;  // of what is gathered; null: all messages are of planned sizes
  };

  LearningWorker(const LearningRun& run, int32_t rank);
  // Waits for the gradients of the step computed last.
  void AwaitGradients();
  // A codec's status.
  void Check(const absl::Status& status) const {
    if (!status.ok()) run_.fail(status);
  }
  absl::Span<float> Gradient(int64_t step, int32_t bucket);
  absl::Span<float> Slice(int32_t bucket, absl::Span<float> arena) const;

  const LearningRun run_;
  const RunSpec& spec_;
  const ParamLayout& layout_;
  const SchemeTraits scheme_;
  const int32_t rank_;
  const int32_t servers_;
  const bool keeps_;  // weights arrive in memory of their own while others wait to be taken
  const CodecTraits traits_;
  std::unique_ptr<Codec> codec_;  // null where sums go in rounds
  std::unique_ptr<CodecMemory> memory_;
  std::unique_ptr<Codec> down_codec_;  // null: weights come as floats
  std::unique_ptr<HeldWeights> held_;
  std::unique_ptr<Reducer> reducer_;      // null where they do not
  std::vector<ReducerRound> rounds_;      // by bucket
  PhaseTimes times_;                      // nobody reads them
  std::unique_ptr<HostReplica> replica_;  // null where all are equal
  std::vector<float> back_, arriving_;
  int64_t step_ = 0, lot_ = 0;  // computed last
  bool computing_ = false;      // and nobody has asked for the gradients
  std::vector<float> losses_;
  int64_t updates_ = 0;
  std::function<void(int64_t updates)> observe_;
  // With steps made alone: what was swapped in last, and what is pushed.
  std::vector<float> base_, distance_;
  std::vector<float> center_;
  std::vector<float> gradients_[2];
  std::vector<std::vector<std::byte>> encoded_[2];  // by server * buckets + bucket
  RankFlights flights_;
  std::vector<Decoding> decodings_;  // by flight
  std::vector<OfEquals> of_equals_;  // by flight
  // Where workers exchange weights with each other: what they make of it, and what is exchanged.
  std::unique_ptr<WeightRule> rule_;
  std::vector<float> copy_;
  std::optional<NeighbourWeights> neighbours_;  // of gossip whose workers may be lost
};

// What a simulated server learns by: its shard, and what is pushed and sent.
class LearningServer : public ServerData {
 public:
  // Errors as of the codec.
  static absl::StatusOr<std::unique_ptr<LearningServer>> Create(
      const LearningRun& run, const std::vector<float>& initial_weights, int32_t index);

  const std::vector<Range>& parts() const { return parts_; }

  // What it keeps beside its shard: what workers hold. Take: before the first message.
  State Give() const { return down_ != nullptr ? down_->Give() : State(); }
  absl::Status Take(const State& state) {
    return down_ != nullptr ? down_->Take(state) : state.CopyTo({});
  }

  absl::Span<float> weights() override { return absl::MakeSpan(weights_); }
  absl::Span<const float> Decode(int32_t worker, int32_t part, int64_t exchange,
                                 const Payload& payload) override;
  void Return(int32_t worker, int32_t part) override;
  void Copy(int32_t worker, const Tag& tag) override;
  Payload Send(int32_t worker, const Tag& tag) override;

 private:
  // A worker's gradient, until it is returned.
  struct Arrival {
    Payload message;             // with the gradient as it is
    std::vector<float> decoded;  // or by the codec
  };

  LearningServer(const LearningRun& run, const std::vector<float>& initial_weights, int32_t index);

  const LearningRun run_;
  const uint64_t run_seed_;
  const int32_t index_, servers_;
  const std::vector<Range> parts_;
  const bool answers_from_shard_;
  std::unique_ptr<Codec> codec_;
  std::vector<int64_t> begins_;  // of each part in the shard's arena
  std::vector<float> weights_;
  std::unique_ptr<DownLink> down_;           // null: weights go as floats
  std::vector<std::vector<float>> replies_;  // by worker
  std::vector<Payload> answers_;             // from the shard, by part; null: updated since
  std::vector<std::vector<Arrival>> inbox_;  // by worker and part
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_LEARNING_NODES_H_
