#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROCESS_CONDUCTOR_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROCESS_CONDUCTOR_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/control/control_client.h"
#include "worker/loop/conductor.h"

namespace ringmaster {

// The control plane for the workers of one process: the last of them to arrive at a barrier arrives
// for the process. Thread-safe.
class ProcessConductor : public Conductor {
 public:
  ProcessConductor(ControlClient& client, int32_t workers) : client_(client), workers_(workers) {}

  absl::Status Barrier(absl::string_view name) override {
    const std::string key(name);
    {
      absl::MutexLock lock(&mutex_);
      if (!failure_.ok()) return failure_;
      Gate& gate = gates_[key];
      if (++gate.arrived < workers_) {
        mutex_.Await(absl::Condition(&gate.open));
        return gate.status;
      }
    }
    const absl::Status status = client_.Barrier(name);
    absl::MutexLock lock(&mutex_);
    gates_[key].status = status;
    gates_[key].open = true;
    return status;
  }

  void AskForLots(int32_t rank, int32_t count) override { client_.AskForLots(rank, count); }
  absl::StatusOr<LotClaim> AwaitLots(int32_t rank) override { return client_.AwaitLots(rank); }
  void ForgetLots(int32_t rank) override { client_.ForgetLots(rank); }
  void SettleLots(int32_t rank, int64_t count) override { client_.SettleLots(rank, count); }
  std::vector<int32_t> LostWorkers() override { return client_.LostWorkers(); }

  absl::Status status() override { return client_.status(); }

  // Lets go of whoever waits, now or later, for a worker of this process that has failed.
  void Abort(const absl::Status& why) {
    absl::MutexLock lock(&mutex_);
    if (failure_.ok()) failure_ = why;
    for (auto& [name, gate] : gates_) {
      if (gate.open) continue;
      gate.status = why;
      gate.open = true;
    }
  }

 private:
  struct Gate {
    int32_t arrived = 0;
    bool open = false;
    absl::Status status;
  };

  ControlClient& client_;
  const int32_t workers_;
  absl::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Gate> gates_ ABSL_GUARDED_BY(mutex_);  // nodes of a map stay where they are
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROCESS_CONDUCTOR_H_
