#ifndef RINGMASTER_COMMON_TRANSPORT_TCP_CONNECTION_H_
#define RINGMASTER_COMMON_TRANSPORT_TCP_CONNECTION_H_

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/transport/fabric_base.h"
#include "common/transport/frame.h"
#include "common/transport/wire.h"

namespace ringmaster {

// The frames to and from one other process, over one socket that never blocks, by TLS or in clear.
// Payloads are written from the sender's memory and read into the receiver's; only additions, and
// the first few bytes of a segment, pass through a buffer.
//
// Send: any thread. Write, Read, Unregister: one thread at a time. Errors mean that the connection
// is broken.
class Connection {
 public:
  // What one call writes or reads at most, more or less. Small enough that what lies in the sockets
  // stays in the caches of both ends when they take turns with writing and reading, large enough
  // that turns are few: over loopback 512 KiB take 0.85 of the time of 256 KiB at 1 MiB and 0.95 at
  // 64 MiB, and 1 MiB 1.4 times as long.
  static constexpr int64_t kTurnBytes = 512 << 10;

  // `epoll`: where the socket is (and stays) registered under `key`; outlives this object.
  Connection(Wire wire, int epoll, uint64_t key, int64_t segment_bytes);

  // Begins to be polled for input.
  absl::Status Register();

  // Writes as much of the message as the socket takes at once, up to a turn, if nothing waits
  // before it; queues the rest for Write and is polled for output until it is written. The payload
  // is read until FinishSend. Never blocks.
  absl::Status Send(const OutgoingMessage& message);

  // Writes a turn of what is queued; whether there was any that the socket took.
  absl::StatusOr<bool> Write();

  // Reads a turn of what has arrived; whether there was any. `begin` opens a frame's segment;
  // `scratch` is memory of the caller, larger than a turn. Unavailable: the peer has closed.
  absl::StatusOr<bool> Read(
      absl::FunctionRef<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin,
      absl::Span<std::byte> scratch);

  // Ends the sends that are queued, and later ones at once, though their bytes go nowhere. Any
  // thread.
  void DropSends();

  // Ends the connection: Read finds that the peer has closed. Any thread.
  void Shut();

  // Ends polling, after an error: from here on nothing is read or written.
  void Unregister();
  bool is_registered() const { return is_registered_; }

 private:
  // A message's place in the stream: frames one after the other, each a header and a segment.
  struct Sending {
    OutgoingMessage message;
    int64_t stream_bytes = 0;  // of all its frames
    int64_t written_bytes = 0;
  };
  // Headers and pieces of one gathering write.
  struct Gather {
    static constexpr int kFramesMax = 16;
    std::array<FrameHeaderBytes, kFramesMax> headers;
    std::array<iovec, 2 * kFramesMax> pieces;
    int frames = 0;
    int piece_count = 0;
    int64_t bytes = 0;
    void Add(const void* data, int64_t count);
    bool HasRoom(int64_t budget_bytes) const { return frames < kFramesMax && bytes < budget_bytes; }
  };

  absl::StatusOr<bool> Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // As sendmsg.
  ssize_t Send(const Gather& gather) const;
  void AddFrames(const Sending& sending, int64_t budget_bytes, Gather* gather) const;
  void Advance(int64_t written_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PollForOutput(bool wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status Parse(absl::FunctionRef<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin);

  // Whether input is here that the socket no longer announces; never without TLS.
  bool HoldsInput() const { return tls_ != nullptr && tls_->HoldsInput(); }
  absl::Status Broken(const char* action, int error) const;

  const Wire wire_;
  const int fd_;          // the wire's
  TlsStream* const tls_;  // the wire's; null: in clear
  const int epoll_;
  const uint64_t key_;
  const int64_t segment_bytes_;

  // The reader's.
  // Behind a small segment the next one is expected to be small too, and is read whole with its
  // header: one system call in place of two takes 0.87 of the time of a sum of 64 KiB on two ranks.
  // Of a large one only the header and the first bytes land here: they are copied once more.
  static constexpr int64_t kSmallSegment = 32 << 10;
  static constexpr int64_t kHeaderRead = 8 << 10;
  alignas(64) std::array<std::byte, kSmallSegment + kHeaderRead> input_;
  bool expects_small_ = true;
  int64_t buffered_ = 0;
  FrameArrival arrival_;  // of the open segment
  int64_t segment_bytes_read_ = 0;
  int64_t segment_left_ = 0;  // bytes it still lacks; then input_ is empty
  bool is_registered_ = false;

  std::atomic<bool> has_queue_{false};  // written under the mutex
  absl::Mutex mutex_;
  std::vector<Sending> queue_ ABSL_GUARDED_BY(mutex_);  // from head_ on
  size_t head_ ABSL_GUARDED_BY(mutex_) = 0;
  bool output_polled_ ABSL_GUARDED_BY(mutex_) = false;
  bool dropping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_TCP_CONNECTION_H_
