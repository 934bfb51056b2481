#include "experiments/program/session/handover.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int kNamesMost = 3;

absl::Status Mistake(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("its program: ", what));
}

const char* NameOfKind(int32_t kind) { return kind == RINGMASTER_STEP ? "a step" : "a score"; }

}  // namespace

// A status that is not OK wakes both sides, and so does the end.
bool Handover::LoopIsAsked() const {
  return is_over_ || !failure_.ok() || state_ == State::kAsked || state_ == State::kLoop;
}
bool Handover::ProgramIsAsked() const { return is_over_ || state_ == State::kOffered; }
bool Handover::IsAnswered() const {
  return is_over_ || !failure_.ok() || state_ == State::kBackward;
}

void Handover::Enter(State state) {
  state_ = state;
  changed_.SignalAll();
}

bool Handover::Await(bool (Handover::*asked)() const, absl::Duration timeout) {
  const auto done = [this, asked]()
                        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return (this->*asked)(); };
  return changed_.AwaitUntil(&mutex_, MonotonicNow() + timeout, done);
}

absl::Status Handover::Offer(const ringmaster_moment& moment) {
  absl::MutexLock lock(&mutex_);
  RM_RETURN_IF_ERROR(failure_);
  RM_CHECK(state_ == State::kLoop);
  moment_ = moment;
  Enter(State::kOffered);
  Await(&Handover::LoopIsAsked);
  return failure_;
}

absl::Status Handover::AwaitGradients(float* gradients, BucketReady ready) {
  absl::MutexLock lock(&mutex_);
  RM_RETURN_IF_ERROR(failure_);
  RM_CHECK(state_ == State::kAsked);
  gradients_ = gradients;
  ready_.emplace(ready);
  is_ready_.assign(layout_.params().size(), false);
  first_missing_ = next_bucket_ = 0;
  Enter(State::kBackward);
  Await(&Handover::LoopIsAsked);
  ready_.reset();
  return failure_;
}

BatchScore Handover::score() const {
  absl::MutexLock lock(&mutex_);
  return score_;
}

void Handover::FinishWell(const float* weights) {
  absl::MutexLock lock(&mutex_);
  is_over_ = true;
  moment_ = {};
  moment_.kind = RINGMASTER_DONE;
  moment_.weights = weights;
  changed_.SignalAll();
}

void Handover::Finish(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (!is_over_) moment_ = {};
  is_over_ = true;
  end_ = status;
  changed_.SignalAll();
}

absl::StatusOr<ringmaster_moment> Handover::Next(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  if (failure_.ok() && !is_over_ && state_ != State::kLoop && state_ != State::kOffered) {
    FailLocked(Mistake(absl::StrCat(
                   "ringmaster_next while ", NameOfKind(moment_.kind), " is not answered; call ",
                   moment_.kind == RINGMASTER_STEP ? "ringmaster_end_step" : "ringmaster_score",
                   " first")))
        .IgnoreError();
  }
  // After a failure the run's own status, which names rank and step, is to come.
  if (!Await(&Handover::ProgramIsAsked, timeout)) {
    ringmaster_moment none = {};
    none.kind = RINGMASTER_WAITING;
    return none;
  }
  if (is_over_) {
    RM_RETURN_IF_ERROR(end_);
    return moment_;
  }
  state_ = State::kForward;
  return moment_;
}

absl::Status Handover::FailLocked(const absl::Status& why) {
  if (failure_.ok()) failure_ = why;
  changed_.SignalAll();
  return failure_;
}

absl::Status Handover::Check(State state, int32_t kind, const char* function) {
  if (is_over_ && !end_.ok()) return end_;
  RM_RETURN_IF_ERROR(failure_);
  if (!is_over_ && state_ == state && moment_.kind == kind) return absl::OkStatus();
  std::string now = "no moment is the program's";
  if (state_ == State::kForward) {
    now =
        absl::StrCat(NameOfKind(moment_.kind), " waits for its ",
                     moment_.kind == RINGMASTER_STEP ? "ringmaster_backward" : "ringmaster_score");
  } else if (state_ == State::kBackward) {
    now = "backward is under way";
  }
  return FailLocked(Mistake(absl::StrCat(function, " out of its moment: ", now)));
}

absl::StatusOr<float*> Handover::Backward() {
  absl::MutexLock lock(&mutex_);
  RM_RETURN_IF_ERROR(Check(State::kForward, RINGMASTER_STEP, "ringmaster_backward"));
  Enter(State::kAsked);
  Await(&Handover::IsAnswered);
  if (is_over_ && !end_.ok()) return end_;
  RM_RETURN_IF_ERROR(failure_);
  return gradients_;
}

absl::Status Handover::Ready(int64_t first, int64_t count) {
  absl::MutexLock lock(&mutex_);
  RM_RETURN_IF_ERROR(Check(State::kBackward, RINGMASTER_STEP, "ringmaster_ready"));
  const auto tensors = static_cast<int64_t>(is_ready_.size());
  if (first < 0 || count < 0 || first > tensors || count > tensors - first) {
    return FailLocked(Mistake(absl::StrCat("ringmaster_ready of ", count, " tensors from ", first,
                                           "; there are tensors 0 to ", tensors - 1)));
  }
  for (int64_t i = first; i < first + count; ++i) {
    if (is_ready_[i]) {
      return FailLocked(Mistake(absl::StrCat(
          "the gradient of \"", layout_.params()[i].name,
          "\" is ready for the second time in this step; a tensor that is used several times is "
          "ready when all its parts are added up")));
    }
    is_ready_[i] = true;
  }
  return Deliver();
}

absl::Status Handover::Deliver() {
  while (first_missing_ < is_ready_.size() && is_ready_[first_missing_]) ++first_missing_;
  const int64_t end =
      first_missing_ == is_ready_.size() ? layout_.count() : layout_.params()[first_missing_].begin;
  for (; next_bucket_ < layout_.buckets().size(); ++next_bucket_) {
    const Bucket& bucket = layout_.buckets()[next_bucket_];
    if (bucket.end() > end) break;
    if (const absl::Status status = (*ready_)(bucket); !status.ok()) return FailLocked(status);
  }
  return absl::OkStatus();
}

std::string Handover::Missing() const {
  std::string names;
  int count = 0;
  for (size_t i = 0; i < is_ready_.size(); ++i) {
    if (is_ready_[i] || ++count > kNamesMost) continue;
    absl::StrAppend(&names, names.empty() ? "" : ", ", "\"", layout_.params()[i].name, "\"");
  }
  if (count > kNamesMost) absl::StrAppend(&names, " and ", count - kNamesMost, " more");
  return names;
}

absl::Status Handover::EndStep(double loss) {
  absl::MutexLock lock(&mutex_);
  RM_RETURN_IF_ERROR(Check(State::kBackward, RINGMASTER_STEP, "ringmaster_end_step"));
  if (first_missing_ < is_ready_.size()) {
    return FailLocked(
        Mistake(absl::StrCat("the step has ended without the gradient of ", Missing(),
                             "; every tensor has one in every step, be it zeros; leave what is "
                             "never trained out of the tensors")));
  }
  score_ = {loss, 0, 1};
  Enter(State::kLoop);
  return absl::OkStatus();
}

absl::Status Handover::Score(const BatchScore& score) {
  absl::MutexLock lock(&mutex_);
  RM_RETURN_IF_ERROR(Check(State::kForward, RINGMASTER_SCORE, "ringmaster_score"));
  if (score.count < 1 || score.correct < 0 || score.correct > score.count) {
    return FailLocked(Mistake(absl::StrCat("a score of ", score.correct, " right of ", score.count,
                                           "; expected at least one label, and no more right")));
  }
  score_ = score;
  Enter(State::kLoop);
  return absl::OkStatus();
}

Handover::Heard Handover::Fail(const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  if (is_over_) return Heard::kNever;
  FailLocked(why).IgnoreError();
  return state_ == State::kLoop || state_ == State::kAsked ? Heard::kLater : Heard::kNow;
}

}  // namespace ringmaster
