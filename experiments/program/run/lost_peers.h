#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LOST_PEERS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LOST_PEERS_H_

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/transport/fabric.h"

namespace ringmaster {

// The processes that a run goes on without, as the coordinator says, and the fabric that is to
// forget them, once it is connected. Thread-safe.
class LostPeers {
 public:
  // `fabric` is connected, and outlives every later call.
  void Connected(Fabric& fabric) {
    absl::MutexLock lock(&mutex_);
    fabric_ = &fabric;
    for (const int32_t process : early_) fabric.Forget(process);
  }

  // Process `process` is lost. Once for each.
  void Lose(int32_t process) {
    absl::MutexLock lock(&mutex_);
    if (fabric_ == nullptr) return early_.push_back(process);
    fabric_->Forget(process);
  }

 private:
  absl::Mutex mutex_;
  Fabric* fabric_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null: it is not connected
  std::vector<int32_t> early_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LOST_PEERS_H_
