#include "common/transport/shaped/shaped_transport.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/shaped/network_now.h"

namespace ringmaster {
namespace {

// Far from the wakes of those who use the transport.
constexpr int32_t kFirstStream = 1 << 24;

}  // namespace

absl::StatusOr<OpId> ShapedTransport::Send(const Outgoing& message) {
  if (!entrance_.Crosses(message.to)) return below_.Send(message);
  const Nanoseconds now = NetworkNow();
  RM_ASSIGN_OR_RETURN(const OpId op, below_.Send(message.WithoutLoan()));
  const FlowNetwork::Message crossing = {MessageKey(self(), message.to, message.tag), self(),
                                         message.to, static_cast<int64_t>(message.payload.size())};
  {
    absl::MutexLock lock(&mutex_);
    crossings_[op] = {message.to, message.tag, true, false, false};
    sends_[crossing.key] = op;
  }
  const absl::Status started = entrance_.Start(crossing, now);
  if (started.ok()) return op;
  Abort(started);  // the bytes are on their way, and will never arrive
  return started;
}

absl::StatusOr<OpId> ShapedTransport::Receive(const Incoming& message) {
  if (!entrance_.Crosses(message.from)) return below_.Receive(message);
  const uint64_t key = MessageKey(message.from, self(), message.tag);
  absl::MutexLock lock(&mutex_);
  RM_ASSIGN_OR_RETURN(const OpId op, below_.Receive(message.WithoutLoan()));
  const bool passed = arrived_.erase(key) > 0;
  crossings_[op] = {message.from, message.tag, false, false, passed};
  if (!passed) receives_[key] = op;
  return op;
}

void ShapedTransport::Tell(const FlowNetwork::Notice& notice) {
  absl::MutexLock lock(&mutex_);
  auto& waiting = notice.has_left ? sends_ : receives_;
  const auto found = waiting.find(notice.message.key);
  if (found == waiting.end()) {
    if (!notice.has_left) arrived_.insert(notice.message.key);
    return;
  }
  const auto crossing = crossings_.find(found->second);
  if (crossing != crossings_.end()) crossing->second.passed = true;
  waiting.erase(found);
  for (Sleeper* sleeper : asleep_) sleeper->wake.Signal();
}

absl::Status ShapedTransport::Wait(OpId op, MonotonicTime deadline) {
  return WaitAny(absl::MakeConstSpan(&op, 1), deadline).status();
}

ShapedTransport::Sleeper* ShapedTransport::TakeSleeper() {
  if (awake_.empty()) {
    sleepers_.push_back(
        std::make_unique<Sleeper>(below_, kFirstStream + static_cast<int32_t>(sleepers_.size())));
    return sleepers_.back().get();
  }
  Sleeper* const sleeper = awake_.back();
  awake_.pop_back();
  return sleeper;
}

int ShapedTransport::TakeDone(absl::Span<const OpId> ops, std::vector<int>* pending) {
  pending->clear();
  for (size_t i = 0; i < ops.size(); ++i) {
    const auto found = crossings_.find(ops[i]);
    if (found == crossings_.end() || !found->second.moved) {
      pending->push_back(static_cast<int>(i));
    } else if (found->second.passed) {
      crossings_.erase(found);
      return static_cast<int>(i);
    }
  }
  return -1;
}

absl::StatusOr<int> ShapedTransport::WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) {
  std::vector<int> pending;  // places in `ops`
  std::vector<OpId> below;   // the same, and the sleeper's wake behind them
  Sleeper* sleeper = nullptr;
  const MonotonicTime begin = MonotonicNow();
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (sleeper == nullptr) {
        const bool any_crosses = std::any_of(ops.begin(), ops.end(),
                                             [this](OpId op) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                                               return crossings_.contains(op);
                                             });
        if (!any_crosses) break;
        sleeper = TakeSleeper();
      } else {
        asleep_.erase(std::find(asleep_.begin(), asleep_.end(), sleeper));
      }
      const int done = aborted_.ok() ? TakeDone(ops, &pending) : -1;
      const absl::StatusOr<OpId> wake = done >= 0 ? 0 : sleeper->wake.Arm();
      if (done >= 0 || !wake.ok()) {
        awake_.push_back(sleeper);
        if (!wake.ok()) return wake.status();
        return done;
      }
      below.clear();
      for (const int place : pending) below.push_back(ops[place]);
      below.push_back(*wake);
      asleep_.push_back(sleeper);
    }
    const absl::StatusOr<int> index = below_.WaitAny(below, deadline);
    absl::MutexLock lock(&mutex_);
    if (index.ok() && *index == static_cast<int>(pending.size())) {
      sleeper->wake.Consumed();
      continue;
    }
    const auto found = index.ok() ? crossings_.find(below[*index]) : crossings_.end();
    if (found != crossings_.end()) {
      found->second.moved = true;
      continue;
    }
    asleep_.erase(std::find(asleep_.begin(), asleep_.end(), sleeper));
    awake_.push_back(sleeper);
    if (index.ok()) return pending[*index];
    if (absl::IsDeadlineExceeded(index.status())) return Late(ops, MonotonicNow() - begin);
    // Which one of several has failed is not known here; a failed operation ends a run.
    if (pending.size() == 1) crossings_.erase(ops[pending[0]]);
    return index.status();
  }
  return below_.WaitAny(ops, deadline);
}

absl::Status ShapedTransport::Late(absl::Span<const OpId> ops, absl::Duration waited) {
  const double seconds = absl::ToDoubleSeconds(std::max(waited, absl::ZeroDuration()));
  const std::string within = seconds > 0 ? absl::StrFormat("within %.1fs", seconds) : "so far";
  const std::string more =
      ops.size() > 1 ? absl::StrCat(" (nor any of ", ops.size() - 1, " more)") : "";
  for (const OpId op : ops) {
    const auto found = crossings_.find(op);
    if (found == crossings_.end()) continue;
    const Crossing& crossing = found->second;
    const std::string peer = ToString(crossing.peer);
    const std::string tag = ToString(crossing.tag);
    if (crossing.moved) {
      return absl::DeadlineExceededError(absl::StrCat(tag, crossing.is_send ? " to " : " from ",
                                                      peer, " still crosses the shaped network ",
                                                      within, more));
    }
    return absl::DeadlineExceededError(
        crossing.is_send ? absl::StrCat(tag, " to ", peer, " not sent ", within, more)
                         : absl::StrCat("nothing from ", peer, " for ", tag, " ", within, more));
  }
  return absl::DeadlineExceededError(
      absl::StrCat("none of ", ops.size(), " operations is done ", within));
}

void ShapedTransport::Abort(const absl::Status& why) {
  {
    absl::MutexLock lock(&mutex_);
    if (aborted_.ok()) aborted_ = why;
  }
  below_.Abort(why);
}

}  // namespace ringmaster
