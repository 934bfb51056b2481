#include "common/transport/grpc/stream.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {

void SendCount::Add() {
  absl::MutexLock lock(&mutex_);
  ++count_;
}

void SendCount::Remove() {
  absl::MutexLock lock(&mutex_);
  --count_;
}

void SendCount::AwaitNone() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](int64_t* count) { return *count == 0; }, &count_));
}

// A message on its way out: held by the queue and by each slice of its payload. The last to let go
// ends the send.
struct Stream::Sending {
  Sending(const OutgoingMessage& message, SendCount* count) : message(message), count(count) {
    count->Add();
  }
  static void Release(void* self) {
    auto* sending = static_cast<Sending*>(self);
    if (sending->holders.fetch_sub(1) != 1) return;
    SendCount* const count = sending->count;
    sending->message.sender->FinishSend(sending->message.op);
    delete sending;
    count->Remove();
  }

  const OutgoingMessage message;
  SendCount* const count;
  int64_t next_offset = 0;
  std::atomic<int> holders{1};
};

Stream::Stream(int64_t segment_bytes, SendCount* count)
    : segment_bytes_(segment_bytes), count_(count) {
  for (size_t kind = 0; kind < tags_.size(); ++kind)
    tags_[kind] = {this, static_cast<StreamTag::Kind>(kind)};
}

Stream::~Stream() {
  RM_CHECK(queue_.empty());
  RM_CHECK(awaited_tags_ == 0);
}

void Stream::SetEvents(StreamEvents events) { events_ = std::move(events); }

void* Stream::Awaited(StreamTag::Kind kind) {
  absl::MutexLock lock(&mutex_);
  ++awaited_tags_;
  return &tags_[static_cast<size_t>(kind)];
}

void Stream::HasCall() {
  absl::MutexLock lock(&mutex_);
  has_call_ = true;
  beginning_ = true;
}

void Stream::Begun() {
  {
    absl::MutexLock lock(&mutex_);
    beginning_ = false;
  }
  EndIfQuiet();
}

void Stream::AwaitEnd() {
  absl::MutexLock lock(&mutex_);
  const auto is_ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return IsEnded(); };
  mutex_.Await(absl::Condition(&is_ended));
}

void Stream::On(StreamTag::Kind kind, bool ok) {
  bool closing = false;
  {
    absl::MutexLock lock(&mutex_);
    closing = closing_;
  }
  const bool opened = kind == StreamTag::Kind::kOpened;
  const bool begins = opened || kind == StreamTag::Kind::kAnswered;
  if (opened && ok) HasCall();
  bool awaits_answer = false;
  if (begins && !ok) {
    Break(absl::UnavailableError("the stream did not open: the process there has ended or failed"));
  } else if (begins && closing) {
    Cancel();
  } else if (opened) {
    awaits_answer = Opened();
  } else if (begins) {
    Answered();
  }
  if (begins && !awaits_answer) Begun();
  if (kind == StreamTag::Kind::kRead) ReadDone(ok);
  if (kind == StreamTag::Kind::kWritten) WriteDone(ok);
  bool is_last = false;
  {
    // Once no tag is awaited whoever waits for the end may destroy the stream, unless it lets go.
    absl::MutexLock lock(&mutex_);
    if (kind == StreamTag::Kind::kOver) over_ = true;
    --awaited_tags_;
    is_last = BeginsToLetGo();
  }
  if (is_last) FinishLettingGo();
}

void Stream::Send(const OutgoingMessage& message) {
  bool writes = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!dropping_ && !closing_) {
      queue_.push_back(new Sending(message, count_));
      if (writing_) return;
      writing_ = true;
      writes = true;
    }
  }
  writes ? WriteNext() : message.sender->FinishSend(message.op);
}

void Stream::DropSends() {
  std::deque<Sending*> dropped;
  {
    absl::MutexLock lock(&mutex_);
    dropping_ = true;
    dropped.swap(queue_);
  }
  for (Sending* sending : dropped) Sending::Release(sending);
}

void Stream::Close() {
  DropSends();
  {
    absl::MutexLock lock(&mutex_);
    if (closing_) return;  // it broke: it ends by itself
    closing_ = cancelling_ = true;
  }
  CancelOnce();
  EndIfQuiet();
}

void Stream::CancelOnce() {
  Cancel();
  absl::MutexLock lock(&mutex_);
  cancelling_ = false;
}

void Stream::Forget() {
  Close();
  bool is_last = false;
  {
    absl::MutexLock lock(&mutex_);
    forgotten_ = true;
    is_last = BeginsToLetGo();
  }
  if (is_last) FinishLettingGo();
}

bool Stream::BeginsToLetGo() {
  if (!forgotten_ || let_go_ || !has_call_ || !IsEnded()) return false;
  let_go_ = letting_go_ = true;
  return true;
}

void Stream::FinishLettingGo() {
  LetGo();
  absl::MutexLock lock(&mutex_);
  letting_go_ = false;
}

void Stream::ReadNext() { StartReadOf(&incoming_); }

void Stream::ReadDone(bool ok) {
  const absl::Status status =
      ok ? Receive() : absl::UnavailableError("it closed the connection: it has ended or failed");
  if (status.ok()) {
    ReadNext();
  } else {
    Break(status);
  }
}

void Stream::WriteDone(bool ok) {
  outgoing_.Clear();  // it refers to the sender's memory too
  bool more = false;
  {
    absl::MutexLock lock(&mutex_);
    more = ok && !closing_ && !queue_.empty();
    writing_ = more;
  }
  if (more) {
    WriteNext();
  } else if (!ok) {
    Break(absl::UnavailableError("a write failed: it has ended or failed"));
  } else {
    EndIfQuiet();
  }
}

void Stream::WriteNext() {
  Sending* sending = nullptr;
  FrameHeader header;
  bool last = false;
  {
    absl::MutexLock lock(&mutex_);
    if (queue_.empty()) {
      writing_ = false;
    } else {
      sending = queue_.front();
      header = sending->message.Frame(sending->next_offset, segment_bytes_);
      sending->next_offset += header.length;
      last = sending->next_offset == header.total_bytes;
      if (last) queue_.pop_front();
      if (!last || header.length > 0) sending->holders.fetch_add(1);  // the slice's
    }
  }
  if (sending == nullptr) {
    EndIfQuiet();
    return;
  }
  const FrameHeaderBytes encoded = EncodeFrameHeader(header);
  grpc::Slice slices[2] = {grpc::Slice(encoded.data(), encoded.size())};
  if (header.length > 0) {
    auto* payload = const_cast<std::byte*>(sending->message.payload.data() + header.offset);
    slices[1] = grpc::Slice(payload, header.length, &Sending::Release, sending);
  }
  grpc::ByteBuffer buffer(slices, header.length > 0 ? 2 : 1);
  outgoing_.Swap(&buffer);
  buffer.Clear();
  slices[1] = grpc::Slice();
  if (last) Sending::Release(sending);  // the queue's
  StartWriteOf(outgoing_);
}

absl::Status Stream::Receive() {
  received_.clear();
  if (!incoming_.Dump(&received_).ok()) return absl::InternalError("a message cannot be read");
  const int64_t message_bytes = incoming_.Length();
  incoming_.Clear();
  if (message_bytes < kFrameHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message of ", message_bytes, " bytes has no frame header"));
  }
  FrameHeaderBytes encoded;
  int64_t have = 0;
  FrameArrival arrival;
  for (const grpc::Slice& slice : received_) {
    auto bytes =
        absl::MakeConstSpan(reinterpret_cast<const std::byte*>(slice.begin()), slice.size());
    if (have < kFrameHeaderBytes) {
      const int64_t count = std::min<int64_t>(kFrameHeaderBytes - have, bytes.size());
      std::copy_n(bytes.begin(), count, encoded.begin() + have);
      bytes.remove_prefix(count);
      have += count;
      if (have < kFrameHeaderBytes) continue;
      RM_ASSIGN_OR_RETURN(const FrameHeader header, DecodeFrameHeader(encoded, segment_bytes_));
      if (header.length != message_bytes - kFrameHeaderBytes) {
        return absl::InvalidArgumentError(absl::StrCat("a frame says it has ", header.length,
                                                       " bytes, but has ",
                                                       message_bytes - kFrameHeaderBytes));
      }
      RM_ASSIGN_OR_RETURN(arrival, events_.begin(header));
    }
    if (arrival.message != nullptr) arrival.matcher->Append(arrival.message, bytes);
  }
  received_.clear();
  return absl::OkStatus();
}

void Stream::Break(const absl::Status& status) {
  bool first = false;
  {
    absl::MutexLock lock(&mutex_);
    first = !closing_;
    closing_ = true;
    if (first) cancelling_ = true;
  }
  if (first) {
    CancelOnce();
    events_.broken(status);
  }
  EndIfQuiet();
}

void Stream::EndIfQuiet() {
  {
    absl::MutexLock lock(&mutex_);
    if (!closing_ || !has_call_ || beginning_ || writing_ || cancelling_ || ending_) return;
    ending_ = true;
  }
  StartEnd();
}

}  // namespace ringmaster
