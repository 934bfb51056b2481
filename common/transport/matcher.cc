#include "common/transport/matcher.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/matcher_operation.h"

namespace ringmaster {
namespace {

// An operation's number in the life of the matcher, and under it its slot, where it is found.
constexpr int kSlotBits = 20;
constexpr int64_t kSlotMask = (int64_t{1} << kSlotBits) - 1;

// Of less than this nobody has waited.
constexpr double kToldSeconds = 0.05;

std::string DescribePending(const Matcher::Operation& op, double seconds) {
  const std::string within =
      seconds >= kToldSeconds ? absl::StrFormat("within %.1fs", seconds) : "so far";
  if (op.is_send)
    return absl::StrCat(ToString(op.tag), " to ", ToString(op.peer), " not sent ", within);
  if (op.begun && op.arrived_bytes > 0) {
    return absl::StrCat("only ", op.arrived_bytes, " of ", op.total_bytes, " bytes from ",
                        ToString(op.peer), " for ", ToString(op.tag), " ", within);
  }
  return absl::StrCat("nothing from ", ToString(op.peer), " for ", ToString(op.tag), " ", within);
}

// `pending`: the first operation that was waited for.
absl::Status LateStatus(const Matcher::Operation* pending, size_t ops, absl::Duration waited) {
  RM_CHECK(pending != nullptr);  // no other thread has waited for it meanwhile
  std::string text =
      DescribePending(*pending, absl::ToDoubleSeconds(std::max(waited, absl::ZeroDuration())));
  if (ops > 1) absl::StrAppend(&text, " (nor any of ", ops - 1, " more)");
  return absl::DeadlineExceededError(text);
}

}  // namespace

Matcher::Matcher(NodeId self, int64_t early_bytes_limit)
    : self_(self), early_bytes_limit_(early_bytes_limit) {}

Matcher::~Matcher() {
  absl::MutexLock lock(&mutex_);
  RM_CHECK(waiters_.empty());
}

absl::StatusOr<OpId> Matcher::AddSend(NodeId to, const Tag& tag, bool* returned) {
  absl::MutexLock lock(&mutex_);
  if (!aborted_.ok()) return aborted_;
  Operation* op = NewOperation();
  op->is_send = true;
  op->returned = returned;
  op->peer = to;
  op->tag = tag;
  return GiveId(op);
}

void Matcher::FinishSend(OpId id, bool returned) {
  absl::MutexLock lock(&mutex_);
  Operation* op = Find(id);
  if (op == nullptr || !aborted_.ok()) return;
  if (op->returned != nullptr) *op->returned = returned;
  Complete(op, absl::OkStatus());
}

absl::StatusOr<OpId> Matcher::AddReceive(const Incoming& receive) {
  const int64_t element_bytes = ElementBytes(receive.mode);
  if (reinterpret_cast<uintptr_t>(receive.out.data()) % element_bytes != 0 ||
      receive.out.size() % element_bytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("receive of ", ToString(receive.tag), " from ", ToString(receive.from), ": ",
                     receive.out.size(), " bytes to add into are not whole, aligned elements of ",
                     element_bytes, " bytes"));
  }
  absl::MutexLock lock(&mutex_);
  if (!aborted_.ok()) return aborted_;
  Operation*& slot = messages_[Key(receive.from, receive.tag)];
  if (slot != nullptr && slot->posted) {
    return absl::AlreadyExistsError(absl::StrCat(
        "a receive of ", ToString(receive.tag), " from ", ToString(receive.from), " at ",
        ToString(self_), " is posted already; a tag names one message in a run"));
  }
  if (slot == nullptr) slot = NewOperation();
  Operation* op = slot;
  op->peer = receive.from;
  op->tag = receive.tag;
  op->posted = true;
  op->out = receive.out;
  op->mode = receive.mode;
  op->received = receive.received;
  op->loan = receive.loan;
  op->reads = receive.only_reads();
  const OpId id = GiveId(op);
  op->lost = IsForgotten(receive.from);
  if (op->begun) CheckSize(op);
  if (op->begun || op->lost) Settle(op);
  return id;
}

absl::StatusOr<int> Matcher::WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) {
  Waiter waiter;
  return WaitAny(ops, deadline, &waiter);
}

absl::StatusOr<int> Matcher::WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline,
                                     Waiter* waiter) {
  absl::MutexLock lock(&mutex_);
  return WaitLocked(ops, deadline, waiter);
}

absl::StatusOr<int> Matcher::Poll(absl::Span<const OpId> ops) {
  absl::MutexLock lock(&mutex_);
  return PollLocked(ops);
}

absl::StatusOr<int> Matcher::PollLocked(absl::Span<const OpId> ids) {
  if (ids.empty())
    return absl::InvalidArgumentError("wait for any of 0 operations: at least one is expected");
  if (!aborted_.ok()) return aborted_;
  RM_ASSIGN_OR_RETURN(const int done, TakeDone(ids));
  if (done >= 0) return done;
  RM_RETURN_IF_ERROR(CheckPending(ids));
  return -1;
}

absl::StatusOr<int> Matcher::Watch(absl::Span<const OpId> ops, Waiter* waiter) {
  RM_CHECK(waiter->rouser != nullptr);
  absl::MutexLock lock(&mutex_);
  const absl::StatusOr<int> done = PollLocked(ops);
  if (!done.ok() || *done >= 0) return done;
  waiter->ids = ops;
  waiters_.push_back(waiter);
  return -1;
}

void Matcher::Unwatch(Waiter* waiter) {
  absl::MutexLock lock(&mutex_);
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), waiter));
}

void Matcher::Call(Waiter* waiter) {
  absl::MutexLock lock(&mutex_);
  waiter->called = true;
  Wake(waiter);
}

void Matcher::Wake(Waiter* waiter) {
  if (waiter->rouser != nullptr) {
    waiter->rouser->Rouse();
  } else {
    waiter->ready.Signal();
  }
}

absl::Status Matcher::Late(absl::Span<const OpId> ops, absl::Duration waited) {
  absl::MutexLock lock(&mutex_);
  return LateStatus(Find(ops[0]), ops.size(), waited);
}

bool Matcher::AwaitsSend(absl::Span<const OpId> ops) {
  absl::MutexLock lock(&mutex_);
  return std::any_of(ops.begin(), ops.end(), [this](OpId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Operation* op = Find(id);
    return op != nullptr && op->is_send && !op->done;
  });
}

absl::StatusOr<int> Matcher::WaitLocked(absl::Span<const OpId> ids, MonotonicTime deadline,
                                        Waiter* waiter) {
  absl::StatusOr<int> result = PollLocked(ids);
  if (!result.ok() || *result >= 0) return result;
  waiter->ids = ids;
  waiters_.push_back(waiter);
  if (waiter->since == MonotonicTime::InfinitePast()) waiter->since = MonotonicNow();
  for (bool late = false; result.ok() && *result < 0 && !waiter->called;) {
    if (late) {
      result = LateStatus(Find(ids[0]), ids.size(), MonotonicNow() - waiter->since);
      break;
    }
    late = waiter->ready.WaitUntil(&mutex_, deadline);
    result = aborted_.ok() ? TakeDone(ids) : aborted_;
    RM_CHECK(!result.ok() || *result >= 0 ||
             Find(ids[0]) != nullptr);  // no other thread has waited for it meanwhile
  }
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), waiter));
  return result;
}

// Consumes the first of `ids` that was done and returns its place in them; -1: none is done.
absl::StatusOr<int> Matcher::TakeDone(absl::Span<const OpId> ids) {
  for (Operation* op = first_done_; op != nullptr; op = op->done_after) {
    const auto found = std::find(ids.begin(), ids.end(), op->id);
    if (found == ids.end()) continue;  // another thread's, or one that is waited for later
    RM_RETURN_IF_ERROR(Consume(op));
    return static_cast<int>(found - ids.begin());
  }
  return -1;
}

absl::Status Matcher::CheckPending(absl::Span<const OpId> ids) {
  for (const OpId id : ids) {
    if (Find(id) != nullptr) continue;
    return absl::InvalidArgumentError(absl::StrCat("operation ", id, " of ", ToString(self_),
                                                   " was never started or is waited for already"));
  }
  return absl::OkStatus();
}

Matcher::ShownWait::ShownWait(Matcher& matcher, absl::Span<const OpId> ops) : matcher_(matcher) {
  waiter_.ids = ops;
  absl::MutexLock lock(&matcher_.mutex_);
  matcher_.waiters_.push_back(&waiter_);
}

Activity Matcher::activity(int64_t moved_before) {
  Activity activity;
  absl::MutexLock lock(&mutex_);
  activity.moved = static_cast<int64_t>(changes()) + segments_;
  if (activity.moved != moved_before) return activity;
  for (const Waiter* waiter : waiters_) {
    for (const OpId id : waiter->ids) {
      const Operation* op = Find(id);
      if (op == nullptr || op->done || op->peer == self_) continue;
      activity.awaited.push_back({op->peer, op->tag, op->is_send});
    }
  }
  return activity;
}

void Matcher::Abort(const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  AbortLocked(why);
}

void Matcher::AbortLocked(const absl::Status& why) {
  RM_CHECK(!why.ok());
  if (!aborted_.ok()) return;
  aborted_ = why;
  changes_.fetch_add(1, std::memory_order_release);
  for (Waiter* waiter : waiters_) Wake(waiter);
}

Matcher::Operation* Matcher::NewOperation() {
  if (free_.empty()) {
    RM_CHECK(all_.size() <= kSlotMask);
    all_.push_back(std::make_unique<Operation>(all_.size()));
    ids_.push_back(0);
    free_.reserve(all_.capacity());
    return all_.back().get();
  }
  Operation* op = free_.back();
  free_.pop_back();
  *op = Operation(op->slot);
  return op;
}

void Matcher::Recycle(Operation* op) {
  if (!op->is_send) messages_.erase(Key(op->peer, op->tag));
  free_.push_back(op);
}

OpId Matcher::GiveId(Operation* op) {
  op->id = next_number_++ << kSlotBits | op->slot;
  ids_[op->slot] = op->id;
  return op->id;
}

// The operation of that number; nullptr: it was never started, or is waited for.
Matcher::Operation* Matcher::Find(OpId id) {
  const size_t slot = id & kSlotMask;
  return id != 0 && slot < ids_.size() && ids_[slot] == id ? all_[slot].get() : nullptr;
}

void Matcher::Complete(Operation* op, absl::Status status) {
  op->done = true;
  op->status = std::move(status);
  op->done_before = last_done_;
  (last_done_ == nullptr ? first_done_ : last_done_->done_after) = op;
  last_done_ = op;
  changes_.fetch_add(1, std::memory_order_release);
  for (Waiter* waiter : waiters_) {
    if (std::find(waiter->ids.begin(), waiter->ids.end(), op->id) != waiter->ids.end())
      Wake(waiter);
  }
}

absl::Status Matcher::Consume(Operation* op) {
  (op->done_before == nullptr ? first_done_ : op->done_before->done_after) = op->done_after;
  (op->done_after == nullptr ? last_done_ : op->done_after->done_before) = op->done_before;
  ids_[op->slot] = 0;
  op->id = 0;
  op->consumed = true;
  const absl::Status status = std::move(op->status);
  if (op->is_send || op->arrived_bytes == op->total_bytes) Recycle(op);
  return status;
}

}  // namespace ringmaster
