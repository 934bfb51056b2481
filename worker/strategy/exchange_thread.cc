#include "worker/strategy/exchange_thread.h"

#include <utility>

#include "common/base/check.h"

namespace ringmaster {

ExchangeThread::ExchangeThread(int64_t capacity, int64_t first_timed_step, Handler handler)
    : first_timed_step_(first_timed_step),
      handler_(std::move(handler)),
      ring_(capacity),
      thread_([this] { Run(); }) {}

ExchangeThread::~ExchangeThread() { Stop(); }

int64_t ExchangeThread::Post(const ExchangeTask& task) {
  absl::MutexLock lock(&mutex_);
  RM_CHECK(posted_ - done_ < static_cast<int64_t>(ring_.size()));
  ++posted_;
  ring_[posted_ % ring_.size()] = task;
  return posted_;
}

absl::Status ExchangeThread::WaitFor(int64_t number) {
  absl::MutexLock lock(&mutex_);
  const auto is_done = [this, number]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return done_ >= number; };
  mutex_.Await(absl::Condition(&is_done));
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

void ExchangeThread::Run() {
  const auto has_news = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || done_ < posted_; };
  for (;;) {
    ExchangeTask task;
    bool healthy;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&has_news));
      if (done_ == posted_) return;  // stopping, and nothing is left
      task = ring_[(done_ + 1) % ring_.size()];
      healthy = status_.ok();
    }
    PhaseTimes& times = task.step < first_timed_step_ ? discarded_ : times_;
    absl::Status result = healthy ? handler_(task, times) : absl::OkStatus();
    absl::MutexLock lock(&mutex_);
    if (!result.ok() && status_.ok()) status_ = std::move(result);
    ++done_;
  }
}

}  // namespace ringmaster
