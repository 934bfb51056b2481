#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_STEP_HOOKS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_STEP_HOOKS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/host_port.h"
#include "common/base/message.h"
#include "common/base/status_macros.h"
#include "experiments/program/run/faults/injected_faults.h"
#include "experiments/program/run/turns.h"
#include "worker/loop/worker_setup.h"

namespace ringmaster {

// What who leads a run does to the steps of one of its processes: grants them, and has faults come.
class StepHooks {
 public:
  // Opens the files of NodeOptions that are named; `nodes` live here, in the run's first formation.
  // Errors: as of TurnTaker::Open and FaultTaker::Open.
  absl::Status Open(const std::string& turns, const std::string& faults,
                    const std::vector<NodeId>& nodes, const HostPort& coordinator) {
    if (!turns.empty()) {
      RM_ASSIGN_OR_RETURN(turns_, TurnTaker::Open(turns));
    }
    if (!faults.empty()) {
      RM_ASSIGN_OR_RETURN(faults_, FaultTaker::Open(faults, nodes, coordinator));
    }
    for (const NodeId& node : nodes)
      if (node.role == Role::kWorker) workers_.push_back(node.index);
    return absl::OkStatus();
  }

  // All processes have joined.
  void Joined() const {
    if (faults_ != nullptr) faults_->Joined();
  }

  // By which faults slow the computing of worker `i` of those that live here: for emulated models.
  // Null: none can.
  std::function<double()> SlownessOf(size_t i) const {
    if (faults_ == nullptr) return nullptr;
    return [this, rank = workers_[i]] { return faults_->SlownessOf(rank); };
  }

  // For worker `i` of those that live here, whose setup has its rank. This object outlives it.
  void ConnectWorker(size_t i, Conductor* conductor, WorkerSetup* setup) const {
    if (turns_ != nullptr) {
      setup->before_step = [this, rank = setup->rank, conductor](int64_t step) {
        return turns_->Await(rank, step, [conductor] { return conductor->status(); });
      };
    }
    if (faults_ == nullptr) return;
    // A fault is somebody's by the rank that it had at first.
    setup->on_step = [this, rank = workers_[i]](int64_t step) {
      return faults_->OnStep(rank, step);
    };
  }

  // The run has failed: lets go of all that wait for a turn.
  void Rouse() const {
    if (turns_ != nullptr) turns_->Rouse();
  }

 private:
  std::unique_ptr<TurnTaker> turns_;    // null: nobody grants steps
  std::unique_ptr<FaultTaker> faults_;  // null: nobody does faults to this process
  std::vector<int32_t> workers_;        // that live here, by the ranks of the first formation
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_STEP_HOOKS_H_
