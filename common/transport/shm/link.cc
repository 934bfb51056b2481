#include "common/transport/shm/link.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/transport/shm/bell.h"

namespace ringmaster {
namespace {

// A starved sender hears of room when this much came free, or when nothing more is there to take.
constexpr int64_t kCreditBytes = kPoolBytes / 4;

// A loan's handle is the sequence of its descriptor, and below it the slot of its acknowledgement.
constexpr int kSlotBits = 8;
static_assert(kAckSlots <= 1 << kSlotBits);

uint64_t RoundToLine(uint64_t bytes) { return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine; }

absl::Status BadCounter(const char* name, uint64_t value, uint64_t least, uint64_t most) {
  return absl::InvalidArgumentError(
      absl::StrCat("its count of ", name, " is ", value, ", expected ", least, " to ", most));
}

}  // namespace

Link::Link(const Ends& ends, Recipient recipient)
    : ends_(ends), recipient_(std::move(recipient)), peer_exchange_(ends.peer, ends.peer_pid) {
  for (uint32_t slot = 0; slot < kAckSlots; ++slot) free_slots_.push_back(slot);
  unread_.reserve(kAckSlots);
  early_.reserve(kAckSlots);
}

// ---- Sending.

absl::Status Link::Send(const OutgoingMessage& message) {
  absl::MutexLock lock(&send_mutex_);
  if (dropping_) {
    message.sender->FinishSend(message.op);
    RingBell(ends_.own);  // another thread may wait for it
    return absl::OkStatus();
  }
  Sending sending = {message};
  if (head_ == queue_.size()) {
    RM_ASSIGN_OR_RETURN(const bool whole, HandOver(&sending));
    RingBell(ends_.peer);
    if (whole) return absl::OkStatus();
  }
  queue_.push_back(sending);
  holds_back_.store(true, std::memory_order_relaxed);
  ends_.out->starved.store(1, std::memory_order_relaxed);
  // Room that came free before the peer could see that it is wanted is found here; see layout.h.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return FlushLocked().status();
}

absl::Status Link::Flush() {
  if (!holds_back_.load(std::memory_order_relaxed)) return absl::OkStatus();
  absl::MutexLock lock(&send_mutex_);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return FlushLocked().status();
}

absl::StatusOr<bool> Link::FlushLocked() {
  const uint64_t published_before = published_;
  bool whole = true;
  while (whole && head_ < queue_.size()) {
    RM_ASSIGN_OR_RETURN(whole, HandOver(&queue_[head_]));
    if (whole) ++head_;
  }
  // Keeps the queue's memory: cleared when empty, cut when mostly done.
  if (head_ == queue_.size() || head_ >= 1024) {
    queue_.erase(queue_.begin(), queue_.begin() + head_);
    head_ = 0;
  }
  if (queue_.empty()) {
    holds_back_.store(false, std::memory_order_relaxed);
    ends_.out->starved.store(0, std::memory_order_relaxed);
  }
  if (published_ == published_before) return false;
  RingBell(ends_.peer);
  RingBell(ends_.own);  // sends of other threads may be over
  return true;
}

// True when all of the message is on its way.
absl::StatusOr<bool> Link::HandOver(Sending* sending) {
  const OutgoingMessage& message = sending->message;
  const int64_t total_bytes = message.payload.size();
  const PayloadPlace payload_place = message.lent ? PayloadPlace::kLent : PayloadPlace::kExchange;
  std::optional<uint64_t> exchange_place;
  if (sending->handed_bytes == 0 && total_bytes > (message.lent ? kSmallLoanBytes : kSmallBytes) &&
      !free_slots_.empty()) {
    exchange_place = ends_.exchange->PlaceFor(message.payload);
  }
  if (exchange_place.has_value()) {
    RM_ASSIGN_OR_RETURN(const bool has_slot, HasSlot());
    if (!has_slot) return false;
    const uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    const uint32_t sequence =
        Publish(message.Frame(0, total_bytes), payload_place, *exchange_place, slot);
    unread_.push_back({slot, sequence, message.sender, message.op});
    unread_count_.store(static_cast<int32_t>(unread_.size()), std::memory_order_relaxed);
    return true;
  }
  do {
    const FrameHeader piece = message.Frame(sending->handed_bytes, kPieceBytes);
    RM_ASSIGN_OR_RETURN(const bool has_slot, HasSlot());
    if (!has_slot) return false;
    RM_ASSIGN_OR_RETURN(const int64_t place, FindPoolPlace(piece.length));
    if (place < 0) return false;
    if (piece.length > 0) {
      std::memcpy(ends_.out->pool + place % kPoolBytes, message.payload.data() + piece.offset,
                  piece.length);
    }
    pool_used_ = place + RoundToLine(piece.length);
    Publish(piece, PayloadPlace::kPool, place, 0);
    sending->handed_bytes += piece.length;
  } while (sending->handed_bytes < total_bytes);
  message.sender->FinishSend(message.op);
  return true;
}

absl::StatusOr<bool> Link::HasSlot() {
  if (published_ - taken_seen_ < kRingSlots) return true;
  const uint64_t taken = ends_.out->taken.load(std::memory_order_acquire);
  if (taken < taken_seen_ || taken > published_)
    return BadCounter("descriptors taken", taken, taken_seen_, published_);
  taken_seen_ = taken;
  return published_ - taken_seen_ < kRingSlots;
}

absl::StatusOr<int64_t> Link::FindPoolPlace(int64_t length) {
  const uint64_t size = RoundToLine(length);
  const uint64_t behind_end = kPoolBytes - pool_used_ % kPoolBytes;
  const uint64_t place = size <= behind_end ? pool_used_ : pool_used_ + behind_end;
  if (place + size - freed_seen_ > kPoolBytes) {
    const uint64_t freed = ends_.out->freed.load(std::memory_order_acquire);
    if (freed < freed_seen_ || freed > pool_used_)
      return BadCounter("bytes freed", freed, freed_seen_, pool_used_);
    freed_seen_ = freed;
    if (place + size - freed_seen_ > kPoolBytes) return -1;
  }
  return static_cast<int64_t>(place);
}

uint32_t Link::Publish(const FrameHeader& header, PayloadPlace payload_place, uint64_t place,
                       uint32_t slot) {
  Descriptor& descriptor = ends_.out->ring[published_ % kRingSlots];
  WriteDescriptor(header, payload_place, place, slot, &descriptor);
  const auto sequence = static_cast<uint32_t>(++published_);
  descriptor.sequence.store(sequence, std::memory_order_release);
  return sequence;
}

bool Link::TakeAcks() {
  if (unread_count_.load(std::memory_order_relaxed) == 0) return false;
  absl::MutexLock lock(&send_mutex_);
  bool any = false;
  for (size_t i = 0; i < unread_.size();) {
    const Unread unread = unread_[i];
    const Lane::Ack& ack = ends_.out->acks[unread.slot];
    if (ack.sequence.load(std::memory_order_acquire) != unread.sequence) {
      ++i;
      continue;
    }
    unread_[i] = unread_.back();
    unread_.pop_back();
    free_slots_.push_back(unread.slot);
    unread.sender->FinishSend(unread.op, ack.returned.load(std::memory_order_relaxed) != 0);
    any = true;
  }
  unread_count_.store(static_cast<int32_t>(unread_.size()), std::memory_order_relaxed);
  if (any) RingBell(ends_.own);
  return any;
}

void Link::DropSends() {
  absl::MutexLock lock(&send_mutex_);
  dropping_ = true;
  for (size_t i = head_; i < queue_.size(); ++i)
    queue_[i].message.sender->FinishSend(queue_[i].message.op);
  for (const Unread& unread : unread_) unread.sender->FinishSend(unread.op);
  queue_.clear();
  head_ = 0;
  unread_.clear();
  holds_back_.store(false, std::memory_order_relaxed);
  unread_count_.store(0, std::memory_order_relaxed);
  ends_.out->starved.store(0, std::memory_order_relaxed);
}

// ---- Receiving.

absl::StatusOr<bool> Link::Advance() {
  RM_ASSIGN_OR_RETURN(bool any, Receive());
  if (TakeAcks()) any = true;
  if (holds_back_.load(std::memory_order_relaxed)) {
    absl::MutexLock lock(&send_mutex_);
    RM_ASSIGN_OR_RETURN(const bool sent, FlushLocked());
    if (sent) any = true;
  }
  return any;
}

bool Link::HasArrival() const {
  const uint64_t taken = taken_.load(std::memory_order_relaxed);
  return ends_.in->ring[taken % kRingSlots].sequence.load(std::memory_order_acquire) ==
         static_cast<uint32_t>(taken + 1);
}

absl::StatusOr<bool> Link::Receive() {
  if (!HasArrival()) return false;
  Claimed claimed;
  {
    absl::MutexLock lock(&receive_mutex_);
    if (!HasArrival()) return false;
    const uint64_t taken = taken_.load(std::memory_order_relaxed);
    RM_ASSIGN_OR_RETURN(Arrival arrival, ReadDescriptor(ends_.in->ring[taken % kRingSlots]));
    arrival.sequence = static_cast<uint32_t>(taken + 1);
    RM_ASSIGN_OR_RETURN(Matcher* const matcher, recipient_(arrival.header.from, arrival.header.to));
    claimed.matcher = matcher;
    if (arrival.payload_place == PayloadPlace::kPool) {
      RM_RETURN_IF_ERROR(TakePiece(arrival, *matcher));
    } else {
      Whole whole = {arrival, {}};
      RM_ASSIGN_OR_RETURN(whole.bytes, peer_exchange_.Find(arrival.segment, arrival.begin,
                                                           arrival.header.total_bytes));
      RM_ASSIGN_OR_RETURN(const bool is_claimed, TryClaim(whole, &claimed));
      if (!is_claimed) {
        const FrameHeader& header = arrival.header;
        if (early_.size() == kAckSlots ||
            !early_.emplace(Key({header.from, header.to}, header.tag), whole).second) {
          return absl::InvalidArgumentError(
              absl::StrCat(ToString(header.tag), " from ", ToString(header.from), " to ",
                           ToString(header.to), " came twice, or too much came early"));
        }
      }
    }
    taken_.store(taken + 1, std::memory_order_relaxed);
    ends_.in->taken.store(taken + 1, std::memory_order_release);
  }
  if (claimed.message != nullptr) Bring(claimed);
  GiveCredit();
  RingBell(ends_.own);  // receives of other threads may be over
  return true;
}

absl::Status Link::TakePiece(const Arrival& arrival, Matcher& matcher) {
  const FrameHeader& header = arrival.header;
  RM_ASSIGN_OR_RETURN(Matcher::Operation* const message,
                      matcher.BeginSegment({header.from, header.tag, header.total_bytes,
                                            header.offset, header.length}));
  if (message != nullptr) {
    matcher.Append(message, absl::MakeConstSpan(ends_.in->pool + arrival.begin, header.length));
  }
  ends_.in->freed.store(arrival.pool_end, std::memory_order_release);
  uncredited_bytes_.fetch_add(header.length, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::StatusOr<bool> Link::TryClaim(const Whole& whole, Claimed* claimed) {
  const FrameHeader& header = whole.arrival.header;
  claimed->whole = whole;
  return claimed->matcher->BeginIfPosted(
      {header.from, header.tag, header.total_bytes, 0, header.total_bytes}, &claimed->message);
}

void Link::Bring(const Claimed& claimed) {
  const Arrival& arrival = claimed.whole.arrival;
  const absl::Span<std::byte> bytes = claimed.whole.bytes;
  const int64_t handle = int64_t{arrival.sequence} << kSlotBits | arrival.ack_slot;
  const bool read_only = arrival.payload_place != PayloadPlace::kLent;
  if (claimed.matcher->Lend(claimed.message, {bytes, handle, read_only})) return;
  claimed.matcher->Append(claimed.message, bytes);
  Acknowledge(arrival.ack_slot, arrival.sequence, false);
}

void Link::Return(const Loan& loan) {
  Acknowledge(loan.handle & ((1 << kSlotBits) - 1), static_cast<uint32_t>(loan.handle >> kSlotBits),
              !loan.read_only);
}

void Link::Acknowledge(uint32_t slot, uint32_t sequence, bool returned) {
  Lane::Ack& ack = ends_.in->acks[slot];
  ack.returned.store(returned ? 1 : 0, std::memory_order_relaxed);
  ack.sequence.store(sequence, std::memory_order_release);
  RingBell(ends_.peer);
}

absl::Status Link::OnPost(NodeId from, NodeId to, const Tag& tag) {
  Claimed claimed;
  {
    // Whoever did not find the receive posted put the message into early_ under this lock, so it is
    // found here.
    absl::MutexLock lock(&receive_mutex_);
    auto found = early_.find(Key({from, to}, tag));
    if (found == early_.end()) return absl::OkStatus();
    RM_ASSIGN_OR_RETURN(claimed.matcher, recipient_(from, to));
    RM_ASSIGN_OR_RETURN(const bool is_claimed, TryClaim(found->second, &claimed));
    if (!is_claimed) return absl::OkStatus();
    early_.erase(found);
  }
  if (claimed.message != nullptr) Bring(claimed);
  RingBell(ends_.own);
  return absl::OkStatus();
}

absl::Status Link::TakeEarly() {
  for (;;) {
    Claimed claimed;
    {
      absl::MutexLock lock(&receive_mutex_);
      if (early_.empty()) return absl::OkStatus();
      claimed.whole = early_.begin()->second;
      early_.erase(early_.begin());
      const FrameHeader& header = claimed.whole.arrival.header;
      RM_ASSIGN_OR_RETURN(claimed.matcher, recipient_(header.from, header.to));
      RM_ASSIGN_OR_RETURN(claimed.message, claimed.matcher->BeginSegment({header.from, header.tag,
                                                                          header.total_bytes, 0,
                                                                          header.total_bytes}));
    }
    if (claimed.message != nullptr) Bring(claimed);
    RingBell(ends_.own);
  }
}

// Tells a starved sender of room: its waiters, or its helper when nobody there waits.
void Link::GiveCredit() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (ends_.in->starved.load(std::memory_order_relaxed) == 0) return;
  if (HasArrival() && uncredited_bytes_.load(std::memory_order_relaxed) < kCreditBytes) return;
  uncredited_bytes_.store(0, std::memory_order_relaxed);
  if (ends_.peer->waiters.load(std::memory_order_relaxed) > 0) {
    RingBell(ends_.peer);
  } else {
    AskHelp(kHelpSend);
  }
}

// ---- Helpers.

void Link::AskHelp(uint32_t what) {
  if (ends_.in->help_asked.fetch_or(what) != 0) return;
  // Fails when the peer is gone, which this process's own helper notices.
  const char byte = 0;
  send(ends_.socket, &byte, sizeof(byte), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Link::AskToTake() {
  if (unread_count_.load(std::memory_order_relaxed) > 0 ||
      holds_back_.load(std::memory_order_relaxed)) {
    AskHelp(kHelpTakeEarly);
  }
}

absl::Status Link::Help() {
  const uint32_t asked = ends_.out->help_asked.exchange(0);
  for (bool any = asked != 0; any;) {
    RM_ASSIGN_OR_RETURN(any, Advance());
  }
  return (asked & kHelpTakeEarly) != 0 ? TakeEarly() : absl::OkStatus();
}

}  // namespace ringmaster
