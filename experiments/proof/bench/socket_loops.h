#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_SOCKET_LOOPS_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_SOCKET_LOOPS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/fd.h"
#include "common/engine/engine.h"

namespace ringmaster {

// What the machine's sockets give, for the side of an all-reduce over tcp: plain loops that move as
// many bytes to the next rank as a ring does, receive as many from the one before, and add the
// first half of them. No frames, no names of messages, and nothing waits until it may be sent. So
// `data` is no sum afterwards, and no sum over these sockets can be faster than the best of the
// loops. In two rounds they send the second half when the first has come, as whoever sums must:
// what is left of the difference is a sum's own.
//
// Connections are ours (common/transport/socket.h), on loopback, one for each pair of neighbours.
// An algorithm is a loop and how much it writes or reads at most before it turns to the other. Of
// one thread: "poll" sleeps when nothing moves, "spin" looks again. "threads": one writes, one
// reads, and both sleep.
class SocketLoops final : public Engine {
 public:
  // Connects the ranks. Collective, as seat.all_gather is. Errors: those of listening and
  // connecting, and DeadlineExceeded after seat.wait_limit.
  static absl::StatusOr<std::unique_ptr<SocketLoops>> Create(const EngineSeat& seat,
                                                             bool in_two_rounds);

  std::string library() const override { return "plain sockets"; }
  std::string wire() const override { return wire_; }
  std::string handicap() const override { return ""; }
  absl::Span<const std::string> algorithms() const override { return algorithms_; }
  absl::Status AllReduce(int32_t algorithm, const float* from, absl::Span<float> data) override;
  void Abort(const absl::Status& why) override;
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  enum class Way { kPoll, kSpin, kThreads };
  struct Loop {
    Way way;
    int64_t turn_bytes;
  };
  // What one call moves: positions in a stream of `bytes` each way, which goes over the data again
  // and again.
  struct Stream;

  SocketLoops(const EngineSeat& seat, bool in_two_rounds);
  absl::Status Connect(const EngineSeat& seat);
  int out() const { return out_.get(); }
  int in() const { return in_.valid() ? in_.get() : out_.get(); }
  // Moves up to a turn; how much. Unavailable: the connection ended.
  absl::StatusOr<int64_t> Write(Stream* stream);
  absl::StatusOr<int64_t> Read(Stream* stream);
  absl::Status TakeTurns(Stream* stream, bool spins);
  absl::Status OnTwoThreads(Stream* stream);
  // Sleeps until the socket may be written to or read from. DeadlineExceeded: the limit is over.
  absl::Status Await(bool to_write, bool to_read) const;

  const bool in_two_rounds_;
  const int32_t ranks_;
  const int32_t wait_ms_;
  std::vector<Loop> loops_;
  std::vector<std::string> algorithms_;
  std::vector<float> scratch_;
  std::string wire_;
  Fd out_;
  Fd in_;  // none where two ranks share one connection
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_SOCKET_LOOPS_H_
