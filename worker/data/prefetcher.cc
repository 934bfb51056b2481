#include "worker/data/prefetcher.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/check_context.h"

namespace ringmaster {

Prefetcher::Prefetcher(int64_t count, int32_t depth, FillBatch fill)
    : count_(count), fill_(std::move(fill)), slots_(depth + 1) {
  RM_CHECK(count >= 0 && depth >= 0);
  if (depth == 0) return;
  thread_ = std::thread([this, creator = CheckContext::OfThisThread()] {
    const ScopedCheckContext context(creator);
    Run();
  });
}

Prefetcher::~Prefetcher() { Stop(); }

void Prefetcher::Run() {
  const int64_t slots = static_cast<int64_t>(slots_.size());
  for (int64_t k = 0; k < count_; ++k) {
    {
      absl::MutexLock lock(&mutex_);
      while (!stopped_ && k - released_ >= slots) room_.Wait(&mutex_);
      if (stopped_) return;
    }
    absl::Status status = fill_(k, &slots_[k % slots]);
    absl::MutexLock lock(&mutex_);
    if (status.ok()) {
      filled_ = k + 1;
    } else {
      status_ = std::move(status);
    }
    ready_.Signal();
    if (!status_.ok()) return;
  }
}

absl::StatusOr<const Batch*> Prefetcher::Next() {
  const int64_t k = next_;
  const bool has_thread = slots_.size() > 1;
  Batch* batch = &slots_[k % slots_.size()];
  absl::MutexLock lock(&mutex_);
  if (stopped_) return absl::FailedPreconditionError("the prefetcher has been stopped");
  if (k >= count_)
    return absl::OutOfRangeError(absl::StrCat("all ", count_, " batches have been given"));
  if (has_thread) {
    released_ = k;
    room_.Signal();
    while (filled_ <= k && status_.ok()) ready_.Wait(&mutex_);
  } else if (status_.ok()) {
    status_ = fill_(k, batch);
    if (status_.ok()) filled_ = k + 1;
  }
  if (filled_ <= k) return status_;
  ++next_;
  return batch;
}

void Prefetcher::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    room_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace ringmaster
