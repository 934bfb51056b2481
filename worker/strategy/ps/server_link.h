#ifndef RINGMASTER_WORKER_STRATEGY_PS_SERVER_LINK_H_
#define RINGMASTER_WORKER_STRATEGY_PS_SERVER_LINK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/codec/error_feedback.h"
#include "common/exchange/parts.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Updates of each part that a set of weights contains, by server and bucket.
using PartVersions = std::vector<std::vector<int64_t>>;

// The exchange thread's conversation with all servers: pushes of parts, pulls of weights.
class ServerLink {
 public:
  ServerLink(const WorkerLink& link, std::unique_ptr<Codec> codec);

  // Starts to push the parts of one bucket. `read`: the versions of the weights the gradient was computed from.
  absl::Status Push(const ExchangeTask& task, const PartVersions& read, PhaseTimes& times);

  // Waits until the pushes of `step` have left this worker's buffers.
  absl::Status FinishPushes(int64_t step);

  // Asks every server for its weights and waits until all have landed in `weights` (the whole arena); fills `versions`.
  // `parked` gets the longest time a server kept the pull waiting at its gate.
  absl::Status Pull(const PullNote& note, absl::Span<float> weights, PartVersions* versions, Clock::duration* parked);

  // Tells every server that this worker is done.
  absl::Status SayFarewell();

  int64_t index_bytes() const { return index_bytes_; }
  PartVersions NoVersions() const;

 private:
  absl::Time Deadline() const { return absl::Now() + wait_limit_; }
  absl::StatusOr<absl::Span<const std::byte>> EncodePart(const ExchangeTask& task, int32_t server, const Range& part);
  absl::Status SendRequests(const PullNote& note);

  const WorkerLink link_;
  const std::unique_ptr<Codec> codec_;
  const absl::Duration wait_limit_;
  ErrorFeedback feedback_;
  std::vector<std::vector<Range>> parts_;                    // by server and bucket
  // Encoded parts must stay until sent: by step parity, server and bucket. Empty for the exact codec, which sends
  // straight from the gradient arena.
  std::vector<std::vector<std::vector<std::byte>>> encoded_[2];
  std::vector<OpId> pushes_[2];                              // started and not yet waited for, by step parity
  // Replies of one pull, by server: the answer to the request first, then a message a bucket.
  std::vector<std::vector<Received>> replies_;
  std::vector<OpId> pull_ops_;
  int64_t pulls_ = 0;                                        // so far; numbers the tags
  int64_t index_bytes_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_PS_SERVER_LINK_H_
