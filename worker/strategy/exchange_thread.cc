#include "worker/strategy/exchange_thread.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/machine/short_turns.h"

namespace ringmaster {

namespace {

class HandlerWork : public ExchangeWork {
 public:
  explicit HandlerWork(ExchangeThread::Handler handler) : handler_(std::move(handler)) {}
  absl::Status Run(const ExchangeTask& task, PhaseTimes& times) override {
    return handler_(task, times);
  }
  bool unfinished() const override { return false; }
  absl::Status Advance(PhaseTimes& times) override { return absl::OkStatus(); }
  void Wake() override {}

 private:
  const ExchangeThread::Handler handler_;
};

}  // namespace

ExchangeThread::ExchangeThread(int64_t capacity, int64_t first_timed_step, ExchangeWork& work,
                               ThreadRecorder* recorder)
    : first_timed_step_(first_timed_step),
      work_(work),
      recorder_(recorder),
      times_(recorder),
      discarded_(recorder),
      ring_(capacity),
      thread_([this, creator = CheckContext::OfThisThread()] { Run(creator); }) {}

ExchangeThread::ExchangeThread(int64_t capacity, int64_t first_timed_step, Handler handler,
                               ThreadRecorder* recorder)
    : first_timed_step_(first_timed_step),
      own_work_(std::make_unique<HandlerWork>(std::move(handler))),
      work_(*own_work_),
      recorder_(recorder),
      times_(recorder),
      discarded_(recorder),
      ring_(capacity),
      thread_([this, creator = CheckContext::OfThisThread()] { Run(creator); }) {}

ExchangeThread::~ExchangeThread() { Stop(); }

int64_t ExchangeThread::Post(const ExchangeTask& task) {
  const int64_t timed_from = std::max(first_timed_step_, timed_from_ == nullptr ? 0 : *timed_from_);
  bool wake = false;
  int64_t number = 0;
  {
    absl::MutexLock lock(&mutex_);
    RM_CHECK(posted_ - done_ < static_cast<int64_t>(ring_.size()));
    number = ++posted_;
    ring_[number % ring_.size()] = {task, task.step >= timed_from};
    wake = advancing_;
    advancing_ = false;
  }
  if (wake) work_.Wake();
  return number;
}

absl::Status ExchangeThread::WaitFor(int64_t number) {
  absl::MutexLock lock(&mutex_);
  const auto is_done = [this, number]()
                           ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return done_ >= number; };
  mutex_.Await(absl::Condition(&is_done));
  return status_;
}

absl::Status ExchangeThread::WaitForAll() {
  absl::MutexLock lock(&mutex_);
  const auto is_done = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return done_ == posted_; };
  // Behind Stop nobody does what is posted.
  if (thread_.joinable()) mutex_.Await(absl::Condition(&is_done));
  return status_;
}

absl::Status ExchangeThread::status() {
  absl::MutexLock lock(&mutex_);
  return status_;
}

void ExchangeThread::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void ExchangeThread::Run(const CheckContext& creator) {
  const ScopedCheckContext context(creator);
  AskForShortTurns(kExchangeTurn);  // refused, it is late more often
  while (Next()) {
  }
}

bool ExchangeThread::Next() {
  const auto has_news = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || done_ < posted_;
  };
  const bool unfinished = work_.unfinished();
  Posted next;
  bool has_task = false;
  bool healthy = false;
  {
    absl::MutexLock lock(&mutex_);
    healthy = status_.ok();
    const bool advance = healthy && unfinished;
    if (!advance) mutex_.Await(absl::Condition(&has_news));
    has_task = done_ < posted_;
    if (!has_task && !advance) return false;
    if (has_task) next = ring_[(done_ + 1) % ring_.size()];
    advancing_ = !has_task;
  }
  if (has_task) {
    RunTask(next, healthy);
  } else {
    absl::Status result = work_.Advance(*current_);
    absl::MutexLock lock(&mutex_);
    advancing_ = false;
    Keep(std::move(result));
  }
  return true;
}

void ExchangeThread::RunTask(const Posted& posted, bool healthy) {
  const ExchangeTask& task = posted.task;
  current_ = posted.is_timed ? &times_ : &discarded_;
  if (recorder_ != nullptr) {
    const bool is_of_a_step = task.kind == ExchangeTask::Kind::kBucket ||
                              task.kind == ExchangeTask::Kind::kWeights ||
                              task.kind == ExchangeTask::Kind::kEndStep;
    if (is_of_a_step) {
      recorder_->BeginStep(task.step);
    } else {
      recorder_->EndStep();
    }
  }
  absl::Status result = healthy ? work_.Run(task, *current_) : absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  Keep(std::move(result));
  ++done_;
}

void ExchangeThread::Keep(absl::Status result) {
  if (!result.ok() && status_.ok()) status_ = std::move(result);
}

}  // namespace ringmaster
