#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_DATA_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_DATA_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/message.h"
#include "common/collective/plan.h"

namespace ringmaster {

// What nodes of a simulation compute with and send to each other. A prediction has none of it:
// there messages have sizes alone, and every pointer to what is declared here is null.

// A message's bytes as they were when it was sent.
struct Parcel {
  std::vector<std::byte> bytes;
  const std::byte* watched = nullptr;  // where they lay, if it is watched
};
using Payload = std::shared_ptr<const Parcel>;

// `watched`: CheckUnchanged looks at the memory, which then stays until the message has left.
inline Payload PayloadOf(absl::Span<const std::byte> memory, bool watched = false) {
  return std::make_shared<const Parcel>(
      Parcel{{memory.begin(), memory.end()}, watched ? memory.data() : nullptr});
}

// The message's size: of an encoding of variable size it is known by the bytes alone. `planned`:
// without data.
inline int64_t BytesOf(const Payload& payload, int64_t planned) {
  return payload == nullptr ? planned : static_cast<int64_t>(payload->bytes.size());
}

// A transport may read the memory until the message has left: RM_CHECKs that nobody has written
// there meanwhile, where it is watched.
inline void CheckUnchanged(const Payload& payload) {
  if (payload == nullptr || payload->watched == nullptr || payload->bytes.empty()) return;
  RM_CHECK(std::memcmp(payload->watched, payload->bytes.data(), payload->bytes.size()) == 0);
}

// What a worker's step thread works on.
class StepData {
 public:
  virtual ~StepData() = default;
  // Computes the gradients of all buckets from the worker's weights, on the batches of `lot`
  // (common/control/dealing.h).
  virtual void Compute(int64_t step, int64_t lot) = 0;
  // Updates the weights by the exchanged gradients, where workers do.
  virtual void Update(int64_t step) = 0;
  // The worker is through with the step: its weights are those that the next one begins with, but
  // for what servers send.
  virtual void StepEnded(int64_t step) {}
};

// What a rank of an all-reduce works on. A flight is the core's
// (common/collective/collective_core.h).
class RankData {
 public:
  virtual ~RankData() = default;
  // Makes what the bucket's collective is to sum or gather, until Finish of its flight.
  virtual void Encode(int64_t step, int32_t bucket) = 0;
  virtual void Start(int32_t flight, int64_t step, int32_t bucket, const Plan& plan) = 0;
  // The same of a bucket of the weights, of which the worker has updated a share.
  virtual void StartWeights(int32_t flight, int32_t bucket, const Plan& plan) = 0;
  // Copies the weights, for collectives of the copy (StartCopy). What has become of it, the sum of
  // an exchange, or that of all workers in a drain, is taken once all of them have finished.
  virtual void CopyWeights() = 0;
  virtual void StartCopy(int32_t flight, int32_t bucket, const Plan& plan) = 0;
  // The same where what neighbours send lies apart (AllReducePlan::is_apart).
  virtual void StartApart(int32_t flight, int32_t bucket, const Plan& plan) = 0;
  // Something that `rank` was to send is not there, and never will be: from now on.
  virtual void Lose(int32_t rank) = 0;
  virtual void TakeSum() = 0;
  // `workers`: how many are in it.
  virtual void TakeSumOfAll(int32_t workers) = 0;
  virtual Payload Send(int32_t flight, const PlanOp& op) = 0;
  virtual void Receive(int32_t flight, const PlanOp& op, const Payload& payload) = 0;
  virtual void Add(int32_t flight, const PlanOp& op) = 0;
  // Decodes what the collective has left into the bucket's gradient.
  virtual void Finish(int32_t flight) = 0;
};

// What a worker of parameter servers works on (worker/strategy/ps/worker_core.h).
class PsWorkerData {
 public:
  virtual ~PsWorkerData() = default;
  // Encodes a part of the bucket's gradient, or of how far the weights have come. `exchange`: its
  // number (worker_core.h), which is the step where every step is exchanged.
  virtual Payload Push(int32_t server, int64_t exchange, int32_t bucket) = 0;
  // A step made alone has ended: how far the weights have come from those last swapped in, over N,
  // is what Push encodes, or, where they stay the worker's own, the weights as they are.
  virtual void MeasureDistance() = 0;
  // A part's weights have arrived, in the message `tag`.
  virtual void Receive(int32_t server, const Tag& tag, const Payload& payload) = 0;
  virtual void Deliver() = 0;
  // `from`: the tag.kind of WorkerAction::kSwap.
  virtual void Swap(MessageKind from) = 0;
};

// What a server works on (server/server_core.h).
class ServerData {
 public:
  virtual ~ServerData() = default;
  // The shard's initial weights, in memory that is the core's while it lives.
  virtual absl::Span<float> weights() = 0;
  // Decodes the push number `exchange` of `worker`, into memory that stays until Return.
  virtual absl::Span<const float> Decode(int32_t worker, int32_t part, int64_t exchange,
                                         const Payload& payload) = 0;
  virtual void Return(int32_t worker, int32_t part) = 0;
  // Copies what ServerAction::kCopy says to where replies to `worker` are sent from.
  virtual void Copy(int32_t worker, const Tag& tag) = 0;
  // The weights of part `tag.bucket`, from the copy or, where pushes are answered without one, from
  // the shard.
  virtual Payload Send(int32_t worker, const Tag& tag) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_DATA_H_
