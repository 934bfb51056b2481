#ifndef RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_H_
#define RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/transport/fabric_base.h"
#include "common/transport/frame.h"

namespace ringmaster {

// Counts messages whose payload gRPC may still read. Thread-safe.
class SendCount {
 public:
  void Add();
  void Remove();
  // Waits, without a deadline, until as many were removed as were added.
  void AwaitNone();

 private:
  absl::Mutex mutex_;
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// What happens on a stream, told to the fabric without any lock held.
struct StreamEvents {
  std::function<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin;
  std::function<void(absl::Status)> broken;  // once, unless closed by this side
};

// One end of a stream, whichever side opened it: queue and frames here, gRPC's calls in stream_ends.h. gRPC allows one
// write and one read at a time and wants to hear, by Release, when no more will be started.
class Stream {
 public:
  // `count` outlives the stream and what gRPC holds of its sends.
  Stream(int64_t segment_bytes, SendCount* count);
  // Everything queued is sent or dropped.
  virtual ~Stream();

  // Before the first read. The events outlive the stream's last reaction.
  void SetEvents(StreamEvents events);

  // Queues the message, whose payload stays the sender's until its send is finished. Any thread; never waits for a peer.
  void Send(const OutgoingMessage& message);

  // Forgets what is queued; what gRPC has taken already stays its own. Any thread.
  void DropSends();

  // Ends the stream, whose connection is shut already; AwaitDone tells when.
  void Close();

  // Waits until gRPC has let go of the stream.
  void AwaitDone();

 protected:
  virtual void StartWriteOf(const grpc::ByteBuffer* buffer) = 0;
  virtual void StartReadOf(grpc::ByteBuffer* buffer) = 0;
  virtual void Cancel() = 0;
  virtual void Release() = 0;  // no operation is started from here on

  // Keeps Release away while operations are started from outside gRPC's reactions; false when it is too late.
  bool EnterBusy();
  void LeaveBusy();

  void ReadNext();

  // gRPC's reactions, passed on by the ends.
  void ReadDone(bool ok);
  void WriteDone(bool ok);
  void Done();

 private:
  struct Sending;

  // Writes the next frame; the caller has set writing_.
  void WriteNext();
  // Takes the frame that was read last.
  absl::Status Receive();
  void Break(const absl::Status& status);
  void ReleaseIfOver();

  const int64_t segment_bytes_;
  SendCount* const count_;
  StreamEvents events_;

  // The reader's.
  grpc::ByteBuffer incoming_;
  std::vector<grpc::Slice> received_;
  // The writer's: whoever set writing_.
  grpc::ByteBuffer outgoing_;

  absl::Mutex mutex_;
  std::deque<Sending*> queue_ ABSL_GUARDED_BY(mutex_);
  bool dropping_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_H_
