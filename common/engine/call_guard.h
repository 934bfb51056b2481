#ifndef RINGMASTER_COMMON_ENGINE_CALL_GUARD_H_
#define RINGMASTER_COMMON_ENGINE_CALL_GUARD_H_

#include <cstdlib>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"

namespace ringmaster {

// For a library that cannot be told to give a call up, or not always: the process ends with status
// 1 when a call has not returned `grace` after the abort. Thread-safe.
class CallGuard {
 public:
  explicit CallGuard(absl::Duration grace) : grace_(grace) {}
  ~CallGuard() {
    if (reaper_.joinable()) reaper_.join();
  }
  CallGuard(const CallGuard&) = delete;
  CallGuard& operator=(const CallGuard&) = delete;

  // Around each call, by the one thread that makes them. The abort's status, where there was one.
  absl::Status Begin() { return SetCalling(true); }
  absl::Status End() { return SetCalling(false); }

  // False: `why` is no error, or not the first. Never waits.
  bool Abort(const absl::Status& why) {
    absl::MutexLock lock(&mutex_);
    if (!aborted_.ok() || why.ok()) return false;
    aborted_ = why;
    if (calling_) reaper_ = std::thread([this] { EndUnlessReturned(); });
    return true;
  }

 private:
  absl::Status SetCalling(bool calling) {
    absl::MutexLock lock(&mutex_);
    // After an abort no call begins.
    calling_ = calling && aborted_.ok();
    changed_.SignalAll();
    return aborted_;
  }

  void EndUnlessReturned() {
    absl::MutexLock lock(&mutex_);
    const auto returned = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !calling_; };
    if (!changed_.AwaitUntil(&mutex_, MonotonicNow() + grace_, returned)) std::_Exit(1);
  }

  const absl::Duration grace_;
  absl::Mutex mutex_;
  MonotonicCondVar changed_;  // signalled when calling_ changes
  bool calling_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status aborted_ ABSL_GUARDED_BY(mutex_);
  std::thread reaper_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_CALL_GUARD_H_
