#ifndef RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_H_
#define RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <array>
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

class Stream;

// What gRPC's completion queue says of a stream: the queue's tags point to one of these.
struct StreamTag {
  enum class Kind : uint8_t { kOpened, kAnswered, kRead, kWritten, kOver };
  Stream* stream = nullptr;
  Kind kind = Kind::kOpened;
};

// What happens on a stream, told to the fabric without any lock held.
struct StreamEvents {
  std::function<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin;
  std::function<void(absl::Status)> broken;  // once, unless closed by this side
};

// One end of a stream, whichever side opened it: queue and frames here, gRPC's calls in
// stream_ends.h. gRPC allows one write and one read at a time. Its reactions come as tags of a
// completion queue, which whoever polls it passes on to On, one thread at a time; everything else
// is any thread's.
class Stream {
 public:
  // `count` outlives the stream and what gRPC holds of its sends.
  Stream(int64_t segment_bytes, SendCount* count);
  // Everything queued is sent or dropped, and the queue has returned all tags.
  virtual ~Stream();

  // Before the first reaction. The events outlive the last.
  void SetEvents(StreamEvents events);

  // The queue has returned one of this stream's tags.
  void On(StreamTag::Kind kind, bool ok);

  // Queues the message, whose payload stays the sender's until its send is finished. Never waits
  // for a peer.
  void Send(const OutgoingMessage& message);

  // Ends the sends that are queued, and later ones at once; what gRPC has taken already stays its
  // own.
  void DropSends();

  // Ends the stream, whose connection is shut already.
  void Close();

  // The same for good: gRPC gives back what it has taken of sends, as soon as the call has ended,
  // and not only with this object.
  void Forget();

  // Waits, while another thread polls the queue, until gRPC has let go of the call of a stream that
  // was closed or broke. At once, if there is none yet; the queue may return one more tag then.
  void AwaitEnd();

 protected:
  // Starts a write that returns as the tag of a write; `buffer` is used during the call alone.
  virtual void StartWriteOf(const grpc::ByteBuffer& buffer) = 0;
  // Starts a read that returns as the tag of a read; until then `buffer` is gRPC's.
  virtual void StartReadOf(grpc::ByteBuffer* buffer) = 0;
  // Starts the end of the call, which returns as the tag of an end. REQUIRES: the call has begun,
  // no write is under way, and none is started after it.
  virtual void StartEnd() = 0;
  // The first reaction: the call is there. Asks the peer for the second, or breaks the stream and
  // returns false. Called once, by the thread that polls the queue.
  virtual bool Opened() = 0;
  // The second reaction: the peer has answered. Calls ReadNext, if all is well. As Opened.
  virtual void Answered() = 0;
  // Makes gRPC fail what is under way of the call, so that its tags return soon. Any thread.
  virtual void Cancel() = 0;
  // Destroys the call, with all that gRPC still holds of it. Called once, by the last to use it.
  virtual void LetGo() = 0;

  // There is a call, for which kOpened is to come: from here on it has to be ended.
  void HasCall();

  // The tag of a kind that is about to be started; each of them comes back once.
  void* Awaited(StreamTag::Kind kind);
  void ReadNext();
  void Break(const absl::Status& status);

 private:
  struct Sending;

  // Writes the next frame; the caller has set writing_.
  void WriteNext();
  void ReadDone(bool ok);
  void WriteDone(bool ok);
  // Takes the frame that was read last.
  absl::Status Receive();
  // There is no second reaction to wait for any more.
  void Begun();
  void EndIfQuiet();
  // Cancels the call of a stream that is closing_ since just now.
  void CancelOnce();
  // Whether the caller is the last to use a call that is to be let go: it calls FinishLettingGo.
  bool BeginsToLetGo() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishLettingGo();
  bool IsEnded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !has_call_ || (over_ && awaited_tags_ == 0 && !letting_go_);
  }

  const int64_t segment_bytes_;
  SendCount* const count_;
  StreamEvents events_;
  std::array<StreamTag, 5> tags_;  // by kind

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
  bool has_call_ ABSL_GUARDED_BY(mutex_) = false;
  // Between HasCall and Begun: gRPC's end and beginning of a call touch the same flags of it.
  bool beginning_ ABSL_GUARDED_BY(mutex_) = false;
  // Between closing and the return of Cancel: the call must not end meanwhile.
  bool cancelling_ ABSL_GUARDED_BY(mutex_) = false;
  bool forgotten_ ABSL_GUARDED_BY(mutex_) = false;
  bool let_go_ ABSL_GUARDED_BY(mutex_) = false;
  bool letting_go_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  int awaited_tags_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_H_
