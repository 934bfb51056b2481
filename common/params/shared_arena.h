#ifndef RINGMASTER_COMMON_PARAMS_SHARED_ARENA_H_
#define RINGMASTER_COMMON_PARAMS_SHARED_ARENA_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/base/check.h"

namespace ringmaster {

// An arena that several nodes of a process begin with. Each has it once; the last one gets the
// memory itself, so no copy of it stays with nobody. Thread-safe.
class SharedArena {
 public:
  // For so many calls of Take and Read together. `keeps`: for more of them; then the memory stays
  // here.
  SharedArena(std::vector<float> values, int32_t uses, bool keeps = false)
      : values_(std::move(values)), uses_(uses), keeps_(keeps) {}

  // All of it, which is the caller's.
  std::vector<float> Take() {
    absl::MutexLock lock(&mutex_);
    CountUse();
    return is_last() ? std::exchange(values_, {}) : values_;
  }

  // Has `read` look at all of it, for as long as it takes.
  void Read(absl::FunctionRef<void(absl::Span<const float>)> read) {
    absl::MutexLock lock(&mutex_);
    CountUse();
    read(values_);
    if (is_last()) std::vector<float>().swap(values_);
  }

 private:
  void CountUse() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { RM_CHECK(keeps_ || uses_-- > 0); }
  bool is_last() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !keeps_ && uses_ == 0; }

  absl::Mutex mutex_;
  std::vector<float> values_ ABSL_GUARDED_BY(mutex_);
  int32_t uses_ ABSL_GUARDED_BY(mutex_);
  const bool keeps_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_PARAMS_SHARED_ARENA_H_
