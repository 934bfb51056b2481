#ifndef RINGMASTER_COMMON_TRANSPORT_TCP_CONNECTION_H_
#define RINGMASTER_COMMON_TRANSPORT_TCP_CONNECTION_H_

#include <sys/uio.h>

#include <array>
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
#include "common/transport/socket.h"

namespace ringmaster {

// The frames to and from one other process, over one socket that never blocks. Payloads are written from the sender's
// memory and read into the receiver's; only additions, and the first few bytes of a segment, pass through a buffer.
//
// Send: any thread. Write, Read: the I/O thread. Errors mean that the connection is broken.
class Connection {
 public:
  // `epoll`: where the socket is (and stays) registered under `key`; outlives this object.
  Connection(Fd fd, int epoll, uint64_t key, int64_t segment_bytes);

  // Begins to be polled for input.
  absl::Status Register();

  // Writes as much of the message as the socket takes at once, up to a segment or so, if nothing waits before it;
  // queues the rest for Write. The payload is read until FinishSend. Never blocks.
  absl::Status Send(const OutgoingMessage& message);

  // Writes more of what is queued.
  absl::Status Write();

  // Reads what has come, up to a bound that keeps one peer from starving the others. `begin` opens a frame's segment;
  // `scratch` is memory of the I/O thread. Unavailable: the peer has closed.
  absl::Status Read(absl::FunctionRef<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin,
                    absl::Span<std::byte> scratch);

  // Forgets what is queued; later sends are dropped.
  void DropSends();

  // Ends polling, after an error.
  void Unregister();

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
  };

  absl::Status Flush(int64_t budget_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddFrames(const Sending& sending, int64_t budget_bytes, Gather* gather) const;
  void Advance(int64_t written_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PollForOutput(bool wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status Parse(absl::FunctionRef<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin);

  const Fd fd_;
  const int epoll_;
  const uint64_t key_;
  const int64_t segment_bytes_;

  // The I/O thread's.
  std::array<std::byte, 8192> input_;  // small: a segment's bytes that land here are copied once more
  int64_t buffered_ = 0;
  FrameArrival arrival_;      // of the open segment
  int64_t segment_left_ = 0;  // bytes it still lacks; then input_ is empty

  absl::Mutex mutex_;
  std::vector<Sending> queue_ ABSL_GUARDED_BY(mutex_);  // from head_ on
  size_t head_ ABSL_GUARDED_BY(mutex_) = 0;
  bool output_polled_ ABSL_GUARDED_BY(mutex_) = false;
  bool dropping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_TCP_CONNECTION_H_
