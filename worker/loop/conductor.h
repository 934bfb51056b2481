#ifndef RINGMASTER_WORKER_LOOP_CONDUCTOR_H_
#define RINGMASTER_WORKER_LOOP_CONDUCTOR_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/control/dealing.h"

namespace ringmaster {

// Where a worker is right now. Written by its step thread, read by whoever reports progress; every
// field by itself is consistent, which is all a progress line needs.
struct WorkerProgress {
  std::atomic<int64_t> step{0};             // the step under way, or the last one
  std::atomic<const char*> phase{"start"};  // a string literal
  std::atomic<double> loss{0};
  std::atomic<double> samples_per_second{0};  // of all workers together, as this one sees it
  std::atomic<double> test_accuracy{0};       // of this worker's share, at the mark last scored
  std::atomic<int64_t> scored_marks{0};       // after training
  std::atomic<int64_t> work{
      0};  // grows with every phase entered, bucket finished and batch evaluated
  std::atomic<int32_t> bucket{0};               // finished last by the backward pass under way
  std::atomic<double> slowest_step_seconds{0};  // of the steps so far, without their waits
  std::atomic<bool> at_barrier{false};
  std::atomic<bool> paused{false};       // told to stand still before its next step
  std::atomic<bool> awaits_lots{false};  // of the coordinator, which may keep it waiting
  std::atomic<bool> done{false};         // has nothing more to do

  // The step thread's: it begins with `name`, a string literal.
  void Enter(const char* name) {
    phase.store(name, std::memory_order_relaxed);
    work.fetch_add(1, std::memory_order_relaxed);
  }
};

// The barrier between a run's training and its scoring, which each worker does a part of.
inline constexpr char kTrained[] = "trained";

// The training loop's view of the control plane.
class Conductor {
 public:
  virtual ~Conductor() = default;
  // Returns when every worker of the run has arrived at the barrier of this name; names are used
  // once. The run's failure wakes it with its status.
  virtual absl::Status Barrier(absl::string_view name) = 0;
  // Where work is claimed (ControlClient): a worker asks for up to `count` lots without waiting,
  // and then waits for the answer. ForgetLots ends every wait of the worker for them, now and
  // later.
  virtual void AskForLots(int32_t rank, int32_t count) = 0;
  virtual absl::StatusOr<LotClaim> AwaitLots(int32_t rank) = 0;
  virtual void ForgetLots(int32_t rank) = 0;
  // Where lots of a lost worker are dealt again (ClaimDealer::Settle): the first `count` of those
  // that the worker was dealt are settled. Without waiting.
  virtual void SettleLots(int32_t rank, int64_t count) {}
  // The workers that were lost when the last barrier was released, in ascending order: the same for
  // all who have passed it.
  virtual std::vector<int32_t> LostWorkers() { return {}; }
  // The first failure of the run, if any, without waiting.
  virtual absl::Status status() = 0;
};

// Conductor::Barrier, seen in `progress`.
inline absl::Status AwaitBarrier(absl::string_view name, Conductor& conductor,
                                 WorkerProgress& progress) {
  progress.at_barrier.store(true, std::memory_order_relaxed);
  progress.work.fetch_add(1, std::memory_order_relaxed);
  const absl::Status status = conductor.Barrier(name);
  progress.at_barrier.store(false, std::memory_order_relaxed);
  progress.work.fetch_add(1, std::memory_order_relaxed);
  return status;
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_CONDUCTOR_H_
