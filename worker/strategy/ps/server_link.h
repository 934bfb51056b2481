#ifndef RINGMASTER_WORKER_STRATEGY_PS_SERVER_LINK_H_
#define RINGMASTER_WORKER_STRATEGY_PS_SERVER_LINK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/codec/codec.h"
#include "common/codec/memory.h"
#include "common/exchange/held_weights.h"
#include "common/exchange/parts.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/ps/worker_core.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// How gradients go to servers, and weights come back.
struct ServerCodecs {
  std::unique_ptr<Codec> up;
  std::unique_ptr<Codec> down;  // of differences; null: weights come as floats
};

// The messages between a worker's exchange thread and all servers: what WorkerCore asks for, on a
// transport. Pushes are encoded here, unless they come encoded.
class ServerLink {
 public:
  ServerLink(const WorkerLink& link, ServerCodecs codecs);

  // What Finish waits for, in words ("pull at clock ", 3), and the step whose pushes go with it.
  struct Awaited {
    const char* what = "";
    int64_t clock = 0;
    int64_t step = 0;
    bool is_copy = false;  // of a mark: no weights that the worker goes on with
  };

  // Starts to send the parts of one bucket, as `actions` say, which are a task's
  // (WorkerCore::GradientReady). Weights that they expect will land in `weights` (the whole arena),
  // which is theirs until Finish.
  absl::Status Push(absl::Span<const WorkerAction> actions, const ExchangeTask& task,
                    absl::Span<float> weights, PhaseTimes& times);

  // Starts what else `actions` ask for: requests, and the weights that they bring, as for Push.
  absl::Status Ask(absl::Span<const WorkerAction> actions, absl::Span<float> weights);

  // Waits until all that is expected has arrived and all that is sent has left this worker's
  // buffers. Differences are then added to what the worker holds, and the sum is in the place of
  // the weights.
  absl::Status Finish(const Awaited& awaited);
  // The same of requests alone: a farewell, after which nothing is reported.
  absl::Status FinishRequests();

  // Tells `core` what Finish has waited for; appends what it asks for then. Once after each Finish.
  void Report(WorkerCore* core, std::vector<WorkerAction>* actions);

  // What is kept of the gradients that were encoded here.
  CodecMemory& memory() { return *memory_; }
  const CodecMemory& memory() const { return *memory_; }

  // What it holds of the servers' weights, where they send differences; null: they do not.
  HeldWeights* held() { return held_.get(); }
  const HeldWeights* held() const { return held_.get(); }

  // ExchangeReport's.
  int64_t encoded_bytes() const { return encoded_bytes_; }
  int64_t index_bytes() const { return index_bytes_; }
  const HalfTally& halves() const { return halves_; }

 private:
  // A message that is expected.
  struct Expected {
    OpId op = 0;
    int32_t server = 0;
    Tag tag;
    float* to = nullptr;  // where the part's weights are wanted
  };

  MonotonicTime Deadline() const { return MonotonicNow() + wait_limit_; }
  CodecStream StreamOf(const ExchangeTask& task, int32_t server) const;
  absl::Span<const float> PartOf(const ExchangeTask& task, const Range& part) const;
  absl::Span<const std::byte> EncodeHere(const ExchangeTask& task, int32_t server,
                                         const Range& part);
  absl::StatusOr<absl::Span<const std::byte>> EncodePart(const ExchangeTask& task, int32_t server,
                                                         const Range& part);
  absl::Status Send(const WorkerAction& action, absl::Span<const std::byte> payload,
                    std::vector<OpId>* ops);
  // Expects the message in its place in `weights`.
  absl::Status Expect(const WorkerAction& action, absl::Span<float> weights);
  // The weights that have arrived must be of the right size.
  absl::Status CheckSizes() const;
  // Whether a message of this kind is of differences, encoded.
  bool IsEncoded(MessageKind kind) const {
    return held_ != nullptr && kind == MessageKind::kWeights;
  }
  // Brings the weights that have arrived into what the worker holds, and from there to where they
  // are wanted.
  absl::Status Hold();

  const WorkerLink link_;
  const std::unique_ptr<Codec> codec_;
  const std::unique_ptr<Codec> down_codec_;  // may be null
  const bool beside_worker_;                 // server k lives with worker k
  const absl::Duration wait_limit_;
  const std::unique_ptr<CodecMemory> memory_;
  std::vector<std::vector<Range>> parts_;  // by server and bucket
  // Encoded parts must stay until sent: by step parity, server and bucket. Empty for the exact
  // codec, which sends straight from the gradient arena, and where buckets come encoded.
  std::vector<std::vector<std::vector<std::byte>>> encoded_[2];
  // Where servers send differences: what the worker holds, and what arrives, by server and bucket.
  std::unique_ptr<HeldWeights> held_;
  std::vector<std::vector<std::vector<std::byte>>> differences_;
  // What came last, by server: a message a bucket, then the answer to the request of a pull.
  std::vector<std::vector<Received>> replies_;
  // Messages not yet waited for. Of those expected the last is waited for first: mostly the others
  // are there then, and the thread has slept once.
  std::vector<Expected> expected_;
  std::vector<OpId> pushes_;
  std::vector<OpId> requests_;
  int64_t encoded_bytes_ = 0;
  int64_t index_bytes_ = 0;
  HalfTally halves_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_PS_SERVER_LINK_H_
