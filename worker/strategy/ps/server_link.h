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
#include "common/exchange/parts.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Updates of each part that a set of weights contains, by server and bucket.
using PartVersions = std::vector<std::vector<int64_t>>;

// The exchange thread's conversation with all servers: pushes of parts, pulls of weights. Under BSP servers answer every
// push with the part's new weights, once it has them; otherwise they are asked for all that they hold (Pull).
class ServerLink {
 public:
  ServerLink(const WorkerLink& link, std::unique_ptr<Codec> codec);

  // Starts to push the parts of one bucket. `read`: the versions of the weights the gradient was computed from. Where
  // servers answer pushes, the bucket's new weights will land in `weights` (the whole arena), which is theirs until
  // FinishAnswers.
  absl::Status Push(const ExchangeTask& task, const PartVersions& read, absl::Span<float> weights, PhaseTimes& times);

  // Waits until the pushes of `step` have left this worker's buffers.
  absl::Status FinishPushes(int64_t step);

  // Waits until all answers to the pushes of `step` have landed; fills `versions`.
  absl::Status FinishAnswers(int64_t step, PartVersions* versions);

  // Asks every server for its weights and waits until all have landed in `weights` (the whole arena); fills `versions`.
  // `parked` gets the longest time a server kept the pull waiting at its gate.
  absl::Status Pull(const PullNote& note, absl::Span<float> weights, PartVersions* versions, Clock::duration* parked);

  // Tells every server that this worker is done.
  absl::Status SayFarewell();

  int64_t index_bytes() const { return index_bytes_; }
  PartVersions NoVersions() const;

 private:
  MonotonicTime Deadline() const { return MonotonicNow() + wait_limit_; }
  absl::Span<const std::byte> EncodeHere(const ExchangeTask& task, int32_t server, const Range& part,
                                         absl::Span<const float> gradient);
  absl::StatusOr<absl::Span<const std::byte>> EncodePart(const ExchangeTask& task, int32_t server, const Range& part);
  absl::Status SendRequests(const PullNote& note);
  absl::Status FinishRequests();
  // Expects the part that `tag` names by its bucket, from `server`, in its place in `weights`.
  absl::Status PostWeights(int32_t server, const Tag& tag, absl::Span<float> weights);
  absl::Status FinishReceives(const char* what, int64_t clock);
  // What came of all parts: the sizes must be right.
  absl::Status TakeVersions(PartVersions* versions) const;

  const WorkerLink link_;
  const std::unique_ptr<Codec> codec_;
  const bool is_answered_;
  const absl::Duration wait_limit_;
  const std::unique_ptr<CodecMemory> memory_;
  std::vector<std::vector<Range>> parts_;                    // by server and bucket
  // Encoded parts must stay until sent: by step parity, server and bucket. Empty for the exact codec, which sends
  // straight from the gradient arena, and with link.encoder.
  std::vector<std::vector<std::vector<std::byte>>> encoded_[2];
  std::vector<OpId> pushes_[2];                              // started and not yet waited for, by step parity
  // What came last, by server: a message a bucket, then the answer to the request of a pull.
  std::vector<std::vector<Received>> replies_;
  // Of a pull, or of the answers to a step's pushes; not yet waited for. The last is waited for first: mostly the others
  // are there then, and the thread has slept once.
  std::vector<OpId> receives_;
  std::vector<OpId> requests_;                               // sent and not yet waited for
  int64_t pulls_ = 0;                                        // so far; numbers the tags
  int64_t index_bytes_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_PS_SERVER_LINK_H_
