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
#include "experiments/program/run/attempts/hook_files.h"
#include "experiments/program/run/attempts/run_clock.h"
#include "experiments/program/run/turns.h"
#include "worker/loop/worker_setup.h"

namespace ringmaster {

// What who leads a run does to the steps of one of its processes: grants them, has faults come, and
// has the clock of training run on from that of processes before.
class StepHooks {
 public:
  // Opens the files that are named; `nodes` live here, in the run's first formation. Errors: as of
  // TurnTaker::Open, FaultTaker::Open and RunClock::Open.
  absl::Status Open(const HookFiles& files, const std::vector<NodeId>& nodes,
                    const HostPort& coordinator) {
    if (!files.turns.empty()) {
      RM_ASSIGN_OR_RETURN(turns_, TurnTaker::Open(files.turns));
    }
    if (!files.faults.empty()) {
      RM_ASSIGN_OR_RETURN(faults_, FaultTaker::Open(files.faults, nodes, coordinator));
    }
    if (!files.clock.empty()) {
      RM_ASSIGN_OR_RETURN(clock_, RunClock::Open(files.clock));
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
    if (clock_ != nullptr) {
      setup->clock_begin = clock_->begin();
      setup->on_begin = [this](Clock::time_point begin) { clock_->Begin(begin); };
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
  std::unique_ptr<RunClock> clock_;     // null: the clock of training is this process's own
  std::vector<int32_t> workers_;        // that live here, by the ranks of the first formation
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_STEP_HOOKS_H_
