#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_INJECTED_FAULTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_INJECTED_FAULTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/host_port.h"
#include "common/base/message.h"
#include "experiments/program/run/attempts/shared_file.h"
#include "experiments/program/run/faults/fault.h"

namespace ringmaster {

// Faults that are done to a run's processes on purpose (--fault). Every process does its own to
// itself, so they come at the very step. What is to be done and when it was lies in an anonymous
// file that launcher and processes share: a process that is killed tells nothing any more. A fault
// is done once, also where its step is made again.

// The launcher's side. One thread.
class FaultGiver {
 public:
  static absl::StatusOr<std::unique_ptr<FaultGiver>> Create(const std::vector<Fault>& faults);
  // Where other processes of this user open it.
  const std::string& path() const { return file_.path(); }
  const std::vector<Fault>& faults() const { return faults_; }

  // Has processes go on that were stopped for a time, once that is over. To be called a few times a
  // second.
  void LetGoOn();

  // The run is over: what Outcome::until_the_end counts to.
  void RunIsOver();

  // What became of fault `index`.
  struct Outcome {
    std::optional<double> seconds;  // since all had joined; absent: its moment never came
    std::string failure;            // why it could not be done; empty: it was
    double until_the_end = 0;       // seconds from it until the run was over, or until now
  };
  Outcome OutcomeOf(size_t index) const;

 private:
  FaultGiver(SharedFile file, std::vector<Fault> faults)
      : file_(std::move(file)), faults_(std::move(faults)) {}

  const SharedFile file_;
  const std::vector<Fault> faults_;
  std::optional<int64_t> over_ns_;  // absent: it is not over
};

// The side of one process of a run.
class FaultTaker {
 public:
  // `nodes` live here; connections to `coordinator` are never cut. Errors: no such file, or one of
  // another kind.
  static absl::StatusOr<std::unique_ptr<FaultTaker>> Open(const std::string& path,
                                                          std::vector<NodeId> nodes,
                                                          const HostPort& coordinator);
  ~FaultTaker();
  FaultTaker(const FaultTaker&) = delete;
  FaultTaker& operator=(const FaultTaker&) = delete;

  // All have joined: seconds count from the first call in any process.
  void Joined();

  // Worker `rank`, which lives here, begins `step`: does what is due to its process. Returns its
  // SlownessOf from now on. Several workers' threads may call at once.
  double OnStep(int32_t rank, int64_t step);

  // By which the worker's computing is slowed by faults so far; 1: not at all. Any thread.
  double SlownessOf(int32_t rank) const;

 private:
  FaultTaker(SharedFile file, std::vector<NodeId> nodes, int kept_port);

  bool LivesHere(NodeId node) const;
  // Does fault `index` to this process, unless it was done before.
  void Do(size_t index);
  // The thread's: waits for the moments that no step of this process is.
  void Watch();

  const SharedFile file_;
  const std::vector<NodeId> nodes_;
  const int kept_port_;
  std::vector<Fault> faults_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // not running where nothing waits for the clock or another process's step
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_INJECTED_FAULTS_H_
