#include "common/transport/tcp/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {
Connection::Connection(Wire wire, int epoll, uint64_t key, int64_t segment_bytes)
    : wire_(std::move(wire)),
      fd_(wire_.fd.get()),
      tls_(wire_.tls.get()),
      epoll_(epoll),
      key_(key),
      segment_bytes_(segment_bytes) {
  if (tls_ != nullptr) tls_->ReadAhead();
}

absl::Status Connection::Broken(const char* action, int error) const {
  const absl::Status why = tls_ == nullptr ? absl::OkStatus() : tls_->why();
  return absl::UnavailableError(absl::StrCat(
      "cannot ", action, ": ", why.ok() ? absl::string_view(std::strerror(error)) : why.message()));
}

absl::Status Connection::Register() {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key_;
  is_registered_ = epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event) == 0;
  return is_registered_ ? absl::OkStatus() : Broken("poll a connection", errno);
}

void Connection::Unregister() {
  absl::MutexLock lock(&mutex_);
  dropping_ = true;
  is_registered_ = false;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd_, nullptr);
  if (segment_left_ > 0 && arrival_.message != nullptr) arrival_.matcher->Abandon(arrival_.message);
  arrival_ = {};
}

void Connection::Shut() { shutdown(fd_, SHUT_RDWR); }

void Connection::DropSends() {
  absl::MutexLock lock(&mutex_);
  dropping_ = true;
  for (size_t i = head_; i < queue_.size(); ++i)
    queue_[i].message.sender->FinishSend(queue_[i].message.op);
  queue_.clear();
  head_ = 0;
  has_queue_.store(false, std::memory_order_relaxed);
  PollForOutput(false);
}

void Connection::PollForOutput(bool wanted) {
  if (wanted == output_polled_) return;
  epoll_event event{};
  event.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = key_;
  // Fails only for a connection that is no longer polled because it broke.
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
  output_polled_ = wanted;
}

absl::Status Connection::Send(const OutgoingMessage& message) {
  const int64_t payload_bytes = message.payload.size();
  Sending sending = {message,
                     payload_bytes + kFrameHeaderBytes * FrameCount(payload_bytes, segment_bytes_)};
  absl::MutexLock lock(&mutex_);
  if (dropping_) {
    message.sender->FinishSend(message.op);
    return absl::OkStatus();
  }
  const bool first = head_ == queue_.size();
  queue_.push_back(sending);
  return first ? Flush().status() : absl::OkStatus();
}

absl::StatusOr<bool> Connection::Write() {
  if (!has_queue_.load(std::memory_order_relaxed)) return false;
  absl::MutexLock lock(&mutex_);
  // What is encrypted leaves though its message has, of which nothing is read any more.
  if (dropping_) return false;
  return Flush();
}

// Whether anything was written.
absl::StatusOr<bool> Connection::Flush() {
  int64_t written_bytes = 0;
  bool any = false;
  if (tls_ != nullptr) {
    const int flushed = tls_->Flush();
    if (flushed < 0) return Broken("write", errno);
    any = flushed > 0;
  }
  while (head_ < queue_.size() && written_bytes < kTurnBytes) {
    Gather gather;
    const int64_t budget_bytes = kTurnBytes - written_bytes;
    for (size_t i = head_; i < queue_.size() && gather.HasRoom(budget_bytes); ++i) {
      AddFrames(queue_[i], budget_bytes, &gather);
    }
    const ssize_t written = Send(gather);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) break;
    if (written < 0) return Broken("write", errno);
    Advance(written);
    written_bytes += written;
    if (written < gather.bytes) break;
  }
  const bool waits = head_ < queue_.size() || (tls_ != nullptr && tls_->HasOutput());
  has_queue_.store(waits, std::memory_order_relaxed);
  PollForOutput(waits);
  return any || written_bytes > 0;
}

ssize_t Connection::Send(const Gather& gather) const {
  if (tls_ != nullptr)
    return tls_->Write(absl::MakeConstSpan(gather.pieces).first(gather.piece_count));
  msghdr header{};
  header.msg_iov = const_cast<iovec*>(gather.pieces.data());
  header.msg_iovlen = gather.piece_count;
  return sendmsg(fd_, &header, MSG_NOSIGNAL);
}

void Connection::Gather::Add(const void* data, int64_t count) {
  if (count == 0) return;
  pieces[piece_count++] = {const_cast<void*>(data), static_cast<size_t>(count)};
  bytes += count;
}

// Adds the frames that a message has yet to write, from the middle of one on, up to the budget.
void Connection::AddFrames(const Sending& sending, int64_t budget_bytes, Gather* gather) const {
  const int64_t frame_bytes = kFrameHeaderBytes + segment_bytes_;
  int64_t place = sending.written_bytes;
  while (place < sending.stream_bytes && gather->HasRoom(budget_bytes)) {
    const int64_t offset = place / frame_bytes * segment_bytes_;
    int64_t within = place % frame_bytes;
    const FrameHeader header = sending.message.Frame(offset, segment_bytes_);
    FrameHeaderBytes& encoded = gather->headers[gather->frames++];
    if (within < kFrameHeaderBytes) {
      encoded = EncodeFrameHeader(header);
      gather->Add(encoded.data() + within, kFrameHeaderBytes - within);
      place += kFrameHeaderBytes - within;
      within = kFrameHeaderBytes;
    }
    const int64_t begin = within - kFrameHeaderBytes;
    const int64_t count =
        std::min(header.length - begin, std::max<int64_t>(budget_bytes - gather->bytes, 0));
    gather->Add(sending.message.payload.data() + offset + begin, count);
    place += count;
  }
}

void Connection::Advance(int64_t written_bytes) {
  while (written_bytes > 0) {
    Sending& sending = queue_[head_];
    const int64_t count = std::min(written_bytes, sending.stream_bytes - sending.written_bytes);
    sending.written_bytes += count;
    written_bytes -= count;
    if (sending.written_bytes < sending.stream_bytes) break;
    sending.message.sender->FinishSend(sending.message.op);
    ++head_;
  }
  // Keeps the queue's memory: cleared when empty, cut when mostly done.
  if (head_ == queue_.size() || head_ >= 1024) {
    queue_.erase(queue_.begin(), queue_.begin() + head_);
    head_ = 0;
  }
}

absl::StatusOr<bool> Connection::Read(
    absl::FunctionRef<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin,
    absl::Span<std::byte> scratch) {
  int64_t read_bytes = 0;
  // Beyond a turn only what TLS has received already.
  while (read_bytes < kTurnBytes || HoldsInput()) {
    absl::Span<std::byte> direct;
    if (segment_left_ > 0 && arrival_.message != nullptr)
      direct = arrival_.matcher->Direct(arrival_.message);
    const bool is_direct = !direct.empty();
    RM_CHECK(!is_direct || static_cast<int64_t>(direct.size()) == segment_left_);
    // Elements lie aligned in the scratch, wherever the read before cut one: they are added in one
    // pass.
    const absl::Span<std::byte> aligned = scratch.subspan(segment_bytes_read_ % sizeof(float));
    const absl::Span<std::byte> place =
        is_direct ? direct : aligned.first(std::min<int64_t>(segment_left_, aligned.size()));
    const int64_t ahead = (expects_small_ ? input_.size() : kHeaderRead) - buffered_;
    iovec pieces[2] = {{place.data(), place.size()},
                       {input_.data() + buffered_, static_cast<size_t>(ahead)}};
    const bool whole = static_cast<int64_t>(place.size()) == segment_left_;
    const int first_piece = place.empty() ? 1 : 0;
    const int piece_count = (whole ? 2 : 1) - first_piece;
    const ssize_t count = tls_ == nullptr
                              ? readv(fd_, pieces + first_piece, piece_count)
                              : tls_->Read({pieces + first_piece, static_cast<size_t>(piece_count)},
                                           read_bytes < kTurnBytes);
    const int error = errno;
    const int64_t taken = std::min<int64_t>(std::max<ssize_t>(count, 0), place.size());
    if (is_direct) arrival_.matcher->Commit(arrival_.message, taken);
    if (count < 0 && error == EINTR) continue;
    if (count < 0 && error == EAGAIN) break;
    if (count < 0) return Broken("read", error);
    if (count == 0)
      return absl::UnavailableError("it closed the connection: it has ended or failed");
    if (!is_direct && taken > 0 && arrival_.message != nullptr) {
      arrival_.matcher->Append(arrival_.message, place.first(taken));
    }
    segment_bytes_read_ += taken;
    segment_left_ -= taken;
    buffered_ += count - taken;
    RM_RETURN_IF_ERROR(Parse(begin));
    read_bytes += count;
    const int64_t asked = (first_piece == 0 ? place.size() : 0) + (whole ? pieces[1].iov_len : 0);
    if (count < asked) break;  // nothing more yet
  }
  return read_bytes > 0;
}

// Takes frames and parts of frames out of the input buffer; what stays is part of a header.
absl::Status Connection::Parse(
    absl::FunctionRef<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin) {
  int64_t place = 0;
  for (;;) {
    const int64_t count = std::min(segment_left_, buffered_ - place);
    if (count > 0) {
      if (arrival_.message != nullptr) {
        arrival_.matcher->Append(arrival_.message,
                                 absl::MakeConstSpan(input_.data() + place, count));
      }
      place += count;
      segment_bytes_read_ += count;
      segment_left_ -= count;
    }
    if (buffered_ - place < kFrameHeaderBytes || segment_left_ > 0) break;
    FrameHeaderBytes encoded;
    std::memcpy(encoded.data(), input_.data() + place, encoded.size());
    place += kFrameHeaderBytes;
    RM_ASSIGN_OR_RETURN(const FrameHeader header, DecodeFrameHeader(encoded, segment_bytes_));
    RM_ASSIGN_OR_RETURN(arrival_, begin(header));
    segment_bytes_read_ = 0;
    segment_left_ = header.length;
    expects_small_ = header.length <= kSmallSegment;
  }
  std::memmove(input_.data(), input_.data() + place, buffered_ - place);
  buffered_ -= place;
  return absl::OkStatus();
}

}  // namespace ringmaster
