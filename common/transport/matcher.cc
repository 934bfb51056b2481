#include "common/transport/matcher.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/transport/matcher_operation.h"

namespace ringmaster {
namespace {

std::string DescribePending(const Matcher::Operation& op, double seconds) {
  const std::string within = absl::StrFormat("within %.1fs", seconds);
  if (op.is_send) return absl::StrCat(ToString(op.tag), " to ", ToString(op.peer), " not sent ", within);
  if (op.begun && op.arrived_bytes > 0) {
    return absl::StrCat("only ", op.arrived_bytes, " of ", op.total_bytes, " bytes from ", ToString(op.peer), " for ",
                        ToString(op.tag), " ", within);
  }
  return absl::StrCat("nothing from ", ToString(op.peer), " for ", ToString(op.tag), " ", within);
}

}  // namespace

// A thread asleep in a wait; only operations it waits for wake it.
struct Matcher::Waiter {
  absl::CondVar ready;
};

Matcher::Matcher(NodeId self, int64_t early_bytes_limit) : self_(self), early_bytes_limit_(early_bytes_limit) {}

Matcher::~Matcher() {
  absl::MutexLock lock(&mutex_);
  RM_CHECK(waiters_.empty());
}

absl::StatusOr<OpId> Matcher::AddSend(NodeId to, const Tag& tag) {
  absl::MutexLock lock(&mutex_);
  if (!aborted_.ok()) return aborted_;
  Operation* op = NewOperation();
  op->id = next_id_++;
  op->is_send = true;
  op->peer = to;
  op->tag = tag;
  operations_[op->id] = op;
  return op->id;
}

void Matcher::FinishSend(OpId id) {
  absl::MutexLock lock(&mutex_);
  auto found = operations_.find(id);
  if (found == operations_.end() || !aborted_.ok()) return;
  Complete(found->second, absl::OkStatus());
}

absl::StatusOr<OpId> Matcher::AddReceive(const Receive& receive) {
  const int64_t element_bytes = ElementBytes(receive.mode);
  if (reinterpret_cast<uintptr_t>(receive.out.data()) % element_bytes != 0 || receive.out.size() % element_bytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("receive of ", ToString(receive.tag), " from ", ToString(receive.from), ": ", receive.out.size(),
                     " bytes to add into are not whole, aligned elements of ", element_bytes, " bytes"));
  }
  absl::MutexLock lock(&mutex_);
  if (!aborted_.ok()) return aborted_;
  Operation*& slot = messages_[Key(receive.from, receive.tag)];
  if (slot != nullptr && slot->posted) {
    return absl::AlreadyExistsError(absl::StrCat("a receive of ", ToString(receive.tag), " from ",
                                                 ToString(receive.from), " at ", ToString(self_),
                                                 " is posted already; a tag names one message in a run"));
  }
  if (slot == nullptr) slot = NewOperation();
  Operation* op = slot;
  const OpId id = next_id_++;
  op->id = id;
  op->peer = receive.from;
  op->tag = receive.tag;
  op->posted = true;
  op->out = receive.out;
  op->mode = receive.mode;
  op->received = receive.received;
  operations_[id] = op;
  if (op->begun) {
    CheckSize(op);
    Settle(op);
  }
  return id;
}

absl::Status Matcher::Wait(OpId op, absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  return WaitLocked(absl::MakeConstSpan(&op, 1), deadline).status();
}

absl::StatusOr<int> Matcher::WaitAny(absl::Span<const OpId> ops, absl::Time deadline) {
  if (ops.empty()) return absl::InvalidArgumentError("wait for any of 0 operations: at least one is expected");
  absl::MutexLock lock(&mutex_);
  return WaitLocked(ops, deadline);
}

absl::StatusOr<int> Matcher::WaitLocked(absl::Span<const OpId> ids, absl::Time deadline) {
  Waiter waiter;
  bool asleep = false;
  bool late = false;
  absl::Time begin;
  absl::StatusOr<int> result = -1;
  while (result.ok() && *result < 0) {
    const Operation* pending = nullptr;
    if (!aborted_.ok()) result = aborted_;
    for (int i = 0; result.ok() && *result < 0 && i < static_cast<int>(ids.size()); ++i) {
      auto found = operations_.find(ids[i]);
      if (found == operations_.end()) {
        result = absl::InvalidArgumentError(
            absl::StrCat("operation ", ids[i], " of ", ToString(self_), " was never started or is waited for already"));
      } else if (found->second->done) {
        Operation* op = found->second;
        if (asleep) Unregister(ids, &waiter);
        asleep = false;
        const absl::Status status = Consume(ids[i], op);
        if (status.ok()) result = i; else result = status;
      } else if (pending == nullptr) {
        pending = found->second;
      }
    }
    if (!result.ok() || *result >= 0) break;
    if (late) {
      std::string text = DescribePending(*pending, absl::ToDoubleSeconds(std::max(deadline - begin, absl::ZeroDuration())));
      if (ids.size() > 1) absl::StrAppend(&text, " (nor any of ", ids.size() - 1, " more)");
      result = absl::DeadlineExceededError(text);
      break;
    }
    if (!asleep) {
      begin = absl::Now();
      Register(ids, &waiter);
      asleep = true;
    }
    late = waiter.ready.WaitWithDeadline(&mutex_, deadline);
  }
  if (asleep) Unregister(ids, &waiter);
  return result;
}

void Matcher::Register(absl::Span<const OpId> ids, Waiter* waiter) {
  waiters_.push_back(waiter);
  for (OpId id : ids) operations_[id]->waiter = waiter;
}

void Matcher::Unregister(absl::Span<const OpId> ids, Waiter* waiter) {
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), waiter));
  for (OpId id : ids) {
    auto found = operations_.find(id);
    if (found != operations_.end() && found->second->waiter == waiter) found->second->waiter = nullptr;
  }
}

void Matcher::Abort(const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  AbortLocked(why);
}

void Matcher::AbortLocked(const absl::Status& why) {
  RM_CHECK(!why.ok());
  if (!aborted_.ok()) return;
  aborted_ = why;
  for (Waiter* waiter : waiters_) waiter->ready.SignalAll();
}

Matcher::Operation* Matcher::NewOperation() {
  if (free_.empty()) {
    all_.push_back(std::make_unique<Operation>());
    free_.reserve(all_.capacity());
    return all_.back().get();
  }
  Operation* op = free_.back();
  free_.pop_back();
  *op = Operation();
  return op;
}

void Matcher::Recycle(Operation* op) {
  if (!op->is_send) messages_.erase(Key(op->peer, op->tag));
  free_.push_back(op);
}

void Matcher::Complete(Operation* op, absl::Status status) {
  op->done = true;
  op->status = std::move(status);
  if (op->waiter != nullptr) op->waiter->ready.Signal();
}

absl::Status Matcher::Consume(OpId id, Operation* op) {
  const absl::Status status = std::move(op->status);
  operations_.erase(id);
  op->consumed = true;
  if (op->is_send || op->arrived_bytes == op->total_bytes) Recycle(op);
  return status;
}

}  // namespace ringmaster
