// The wire's side of the matcher: arriving bytes on their way to a posted destination.
#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/transport/matcher.h"
#include "common/transport/matcher_operation.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

// What an early message costs beside its bytes, so that empty messages are bounded too.
constexpr int64_t kEarlyMessageCost = 256;

template <typename T>
absl::Span<T> As(absl::Span<std::byte> bytes) {
  return absl::MakeSpan(reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T));
}
template <typename T>
absl::Span<const T> As(absl::Span<const std::byte> bytes) {
  return absl::MakeConstSpan(reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T));
}

void AddAligned(absl::Span<const std::byte> bytes, ReceiveMode mode, absl::Span<std::byte> out) {
  if (mode == ReceiveMode::kAddFloat32) {
    Add(As<float>(bytes), As<float>(out));
  } else if (mode == ReceiveMode::kAddFloat16) {
    AddFloat16(As<uint16_t>(bytes), As<uint16_t>(out));
  } else {
    AddBfloat16(As<uint16_t>(bytes), As<uint16_t>(out));
  }
}

// Adds the next `bytes` of a message whose elements may be cut anywhere; the rest of a cut element
// waits in carry.
void AddStream(Matcher::Operation& message, int64_t arrived_bytes,
               absl::Span<const std::byte> bytes) {
  const int64_t element_bytes = ElementBytes(message.mode);
  int64_t offset = arrived_bytes - message.carry_bytes;
  if (message.carry_bytes > 0) {
    const int64_t lacking = std::min<int64_t>(element_bytes - message.carry_bytes, bytes.size());
    std::memcpy(message.carry.data() + message.carry_bytes, bytes.data(), lacking);
    message.carry_bytes += lacking;
    bytes.remove_prefix(lacking);
    if (message.carry_bytes < element_bytes) return;
    ApplyBytes(absl::MakeConstSpan(message.carry.data(), element_bytes), message.mode, offset,
               message.out);
    offset += element_bytes;
    message.carry_bytes = 0;
  }
  const int64_t whole = static_cast<int64_t>(bytes.size()) / element_bytes * element_bytes;
  ApplyBytes(bytes.first(whole), message.mode, offset, message.out);
  message.carry_bytes = bytes.size() - whole;
  if (message.carry_bytes > 0)
    std::memcpy(message.carry.data(), bytes.data() + whole, message.carry_bytes);
}

}  // namespace

int64_t ElementBytes(ReceiveMode mode) {
  switch (mode) {
    case ReceiveMode::kStore:
      return 1;
    case ReceiveMode::kAddFloat32:
      return 4;
    case ReceiveMode::kAddFloat16:
    case ReceiveMode::kAddBfloat16:
      return 2;
  }
  return 1;
}

void ApplyBytes(absl::Span<const std::byte> bytes, ReceiveMode mode, int64_t offset,
                absl::Span<std::byte> out) {
  if (bytes.empty()) return;
  absl::Span<std::byte> target = out.subspan(offset, bytes.size());
  RM_CHECK(target.size() == bytes.size());
  if (mode == ReceiveMode::kStore) {
    std::memcpy(target.data(), bytes.data(), bytes.size());
    return;
  }
  const int64_t element_bytes = ElementBytes(mode);
  RM_CHECK(offset % element_bytes == 0 && bytes.size() % element_bytes == 0);
  if (reinterpret_cast<uintptr_t>(bytes.data()) % element_bytes == 0) {
    AddAligned(bytes, mode, target);
    return;
  }
  // Elements that lie askew pass through a block small enough to stay in the innermost cache.
  alignas(64) std::byte block[8192];
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), sizeof(block));
    std::memcpy(block, bytes.data(), count);
    AddAligned(absl::MakeConstSpan(block, count), mode, target.first(count));
    bytes.remove_prefix(count);
    target.remove_prefix(count);
  }
}

absl::StatusOr<Matcher::Operation*> Matcher::BeginSegment(const Segment& segment) {
  absl::MutexLock lock(&mutex_);
  return BeginLocked(segment);
}

absl::StatusOr<bool> Matcher::BeginIfPosted(const Segment& whole, Operation** message) {
  absl::MutexLock lock(&mutex_);
  *message = nullptr;
  if (!aborted_.ok() || IsForgotten(whole.from)) return true;
  auto found = messages_.find(Key(whole.from, whole.tag));
  if (found == messages_.end() || !found->second->posted) return false;
  absl::StatusOr<Operation*> begun = BeginLocked(whole);
  if (!begun.ok()) return begun.status();
  *message = *begun;
  return true;
}

absl::StatusOr<Matcher::Operation*> Matcher::BeginLocked(const Segment& segment) {
  if (!aborted_.ok() || IsForgotten(segment.from)) return nullptr;
  Operation*& slot = messages_[Key(segment.from, segment.tag)];
  if (slot == nullptr) {
    slot = NewOperation();
    slot->peer = segment.from;
    slot->tag = segment.tag;
  }
  Operation* message = slot;
  const bool first = !message->begun;
  if (first) {
    message->begun = true;
    message->total_bytes = segment.total_bytes;
    message->note = segment.tag.note;
  }
  if (segment.total_bytes != message->total_bytes || segment.offset != message->opened_bytes ||
      message->opened_bytes != message->arrived_bytes || segment.length < 0 ||
      segment.length > message->total_bytes - message->opened_bytes ||
      (segment.length == 0 && !first)) {
    return absl::InvalidArgumentError(absl::StrCat(
        ToString(segment.tag), " from ", ToString(segment.from), " to ", ToString(self_),
        ": a segment of ", segment.length, " bytes at ", segment.offset, " of ",
        segment.total_bytes, " came after ", message->opened_bytes, " of ", message->total_bytes,
        "; was the tag used twice?"));
  }
  message->opened_bytes += segment.length;
  ++segments_;
  if (first) {
    if (message->posted) {
      CheckSize(message);
    } else {
      const absl::Status status = HoldEarly(message);
      if (!status.ok()) return status;
    }
  }
  if (segment.length > 0) return message;
  Settle(message);
  return nullptr;
}

absl::Span<std::byte> Matcher::Direct(Operation* message) {
  absl::MutexLock lock(&mutex_);
  std::byte* target = Target(*message);
  if (target == nullptr) return {};
  message->pinned = true;
  return absl::MakeSpan(target, message->opened_bytes - message->arrived_bytes);
}

void Matcher::Commit(Operation* message, int64_t count) {
  absl::MutexLock lock(&mutex_);
  message->pinned = false;
  message->arrived_bytes += count;
  RM_CHECK(count >= 0 && message->arrived_bytes <= message->opened_bytes);
  Settle(message);
}

bool Matcher::Lend(Operation* message, const Loan& loan) {
  absl::MutexLock lock(&mutex_);
  if (!aborted_.ok() || message->loan == nullptr || message->early != nullptr || message->dropping)
    return false;
  if (loan.read_only && !message->reads) return false;
  if (reinterpret_cast<uintptr_t>(loan.memory.data()) % sizeof(float) != 0)
    return false;  // nobody adds to that in place
  *message->loan = loan;
  message->loan->read_only = message->reads;
  message->arrived_bytes = message->opened_bytes;
  Settle(message);
  return true;
}

void Matcher::Append(Operation* message, absl::Span<const std::byte> bytes) {
  if (bytes.empty()) return;
  std::byte* target = nullptr;
  bool adding = false;
  int64_t arrived_bytes = 0;
  {
    absl::MutexLock lock(&mutex_);
    arrived_bytes = message->arrived_bytes;
    RM_CHECK(static_cast<int64_t>(bytes.size()) <= message->opened_bytes - arrived_bytes);
    target = Target(*message);
    adding = target == nullptr && aborted_.ok() && !message->dropping;
    message->pinned = true;
  }
  if (target != nullptr) std::memcpy(target, bytes.data(), bytes.size());
  if (adding) AddStream(*message, arrived_bytes, bytes);
  Commit(message, bytes.size());
}

// Where the next arriving byte is stored; nullptr when it is to be added or dropped.
std::byte* Matcher::Target(const Operation& message) const {
  if (!aborted_.ok() || message.dropping) return nullptr;
  if (message.early != nullptr) return message.early.get() + message.arrived_bytes;
  return message.mode == ReceiveMode::kStore ? message.out.data() + message.arrived_bytes : nullptr;
}

absl::Status Matcher::HoldEarly(Operation* message) {
  const int64_t room = early_bytes_limit_ - early_bytes_ - kEarlyMessageCost;
  if (message->total_bytes > room) {
    const absl::Status status = absl::ResourceExhaustedError(
        absl::StrCat(ToString(message->tag), " from ", ToString(message->peer), ": ",
                     message->total_bytes, " bytes came before ", ToString(self_),
                     " posted their receive, with ", early_bytes_, " of ", early_bytes_limit_,
                     " bytes of early messages held; post receives sooner or raise the limit"));
    AbortLocked(status);
    return status;
  }
  early_bytes_ += message->total_bytes + kEarlyMessageCost;
  message->early.reset(new std::byte[std::max<int64_t>(message->total_bytes, 1)]);
  return absl::OkStatus();
}

void Matcher::ReleaseEarly(Operation* message) {
  early_bytes_ -= message->total_bytes + kEarlyMessageCost;
  message->early.reset();
}

// Once both the receive and the message's size are known: fails the receive when they do not fit.
void Matcher::CheckSize(Operation* message) {
  const int64_t capacity = message->out.size();
  const bool fits = message->received == nullptr ? message->total_bytes == capacity
                                                 : message->total_bytes <= capacity;
  if (fits) return;
  message->dropping = true;
  Complete(message,
           absl::InvalidArgumentError(absl::StrCat(
               ToString(message->tag), " from ", ToString(message->peer), " has ",
               message->total_bytes, " bytes, the receive posted at ", ToString(self_), " takes ",
               message->received == nullptr ? "exactly " : "at most ", capacity)));
}

// Brings a begun message as far as it can go after something changed.
void Matcher::Settle(Operation* message) {
  if (!aborted_.ok() || message->moving) return;
  if (message->is_cut_short()) return EndLost(message);
  if (message->dropping) {
    if (message->early != nullptr && !message->pinned) ReleaseEarly(message);
    if (message->consumed && message->arrived_bytes == message->total_bytes) Recycle(message);
    return;
  }
  if (!message->posted) return;
  if (message->early != nullptr) MoveEarly(message);  // it may be lost meanwhile
  if (message->is_cut_short()) return EndLost(message);
  if (message->early == nullptr && message->arrived_bytes == message->total_bytes &&
      !message->done) {
    if (message->received != nullptr) *message->received = {message->total_bytes, message->note};
    Complete(message, absl::OkStatus());
  }
}

void Matcher::Forget(NodeId peer) {
  absl::MutexLock lock(&mutex_);
  if (!aborted_.ok() || !forgotten_.insert(peer).second) return;
  std::vector<Operation*> messages;
  for (const auto& [key, message] : messages_) {
    if (key.first == peer) messages.push_back(message);
  }
  for (Operation* message : messages) {
    message->lost = true;
    Settle(message);
  }
}

void Matcher::Abandon(Operation* message) {
  absl::MutexLock lock(&mutex_);
  RM_CHECK(!message->pinned);
  message->opened_bytes = message->arrived_bytes;
  Settle(message);
}

// Nothing more comes of the message, which nobody brings bytes of.
void Matcher::EndLost(Operation* message) {
  if (message->early != nullptr) ReleaseEarly(message);
  message->total_bytes = message->arrived_bytes;
  if (!message->posted || message->consumed) return Recycle(message);
  if (message->done) return;
  if (message->received == nullptr) {
    return Complete(message,
                    absl::UnavailableError(absl::StrCat(ToString(message->tag), " from ",
                                                        ToString(message->peer), ": it is lost")));
  }
  *message->received = {};
  message->received->lost = true;
  Complete(message, absl::OkStatus());
}

// Takes early bytes to the destination, letting the lock go meanwhile; more may arrive in `early`
// while it works.
void Matcher::MoveEarly(Operation* message) {
  const int64_t element_bytes = ElementBytes(message->mode);
  message->moving = true;
  for (;;) {
    const int64_t begin = message->moved_bytes;
    const int64_t end = message->arrived_bytes / element_bytes * element_bytes;
    if (begin == end || !aborted_.ok()) break;
    const auto bytes = absl::MakeConstSpan(message->early.get() + begin, end - begin);
    mutex_.Unlock();
    ApplyBytes(bytes, message->mode, begin, message->out);
    mutex_.Lock();
    message->moved_bytes = end;
  }
  message->moving = false;
  // Held on while the wire writes into it, and while it has the first bytes of an element whose
  // rest is to come.
  if (!message->pinned && message->moved_bytes == message->arrived_bytes) ReleaseEarly(message);
}

}  // namespace ringmaster
