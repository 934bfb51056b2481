#ifndef RINGMASTER_COMMON_CONTROL_END_REQUEST_H_
#define RINGMASTER_COMMON_CONTROL_END_REQUEST_H_

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace ringmaster {

// The way on which another thread, such as one that takes signals, asks a process to leave its run.
// Thread-safe.
class EndRequest {
 public:
  EndRequest() = default;
  EndRequest(const EndRequest&) = delete;
  EndRequest& operator=(const EndRequest&) = delete;

  // Asks, with the reason that the whole run is to hear. Returns once the listener has told it, at
  // once where there is none. REQUIRES: `why` is an error.
  void Make(const absl::Status& why) {
    absl::MutexLock lock(&mutex_);
    if (!why_.ok()) return;
    why_ = why;
    if (listener_) listener_(why_);
  }

  // From now on `listener` is called with the reason, by the thread that asks; at once, here, where
  // somebody has asked. Null: nobody listens any more, and no call is under way when this returns.
  void Listen(std::function<void(const absl::Status&)> listener) {
    absl::MutexLock lock(&mutex_);
    listener_ = std::move(listener);
    if (listener_ && !why_.ok()) listener_(why_);
  }

 private:
  absl::Mutex mutex_;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
  std::function<void(const absl::Status&)> listener_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_END_REQUEST_H_
