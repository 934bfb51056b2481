#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TURNS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TURNS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "experiments/program/run/attempts/shared_file.h"

namespace ringmaster {

// Runs of several programs that take turns on one machine: the workers of each park before the
// steps that they have not been granted, outside of their timed steps, and continue where they
// were. A parked worker sleeps. The state lies in an anonymous file that the processes of a run
// share. Where work is claimed, the step of a worker is that of its lot (WorkerSetup::before_step).

// One side of it: who grants steps, and reads when each worker came to which. One thread; the
// destructor grants all, so that nobody is left waiting.
class TurnGiver {
 public:
  // For `workers` workers of a run of `steps` steps. Nothing is granted yet.
  static absl::StatusOr<std::unique_ptr<TurnGiver>> Create(int32_t workers, int64_t steps);
  ~TurnGiver();
  TurnGiver(const TurnGiver&) = delete;
  TurnGiver& operator=(const TurnGiver&) = delete;

  struct Turn {
    int64_t timed_from = 0;  // steps below it are not timed
    int64_t end = 0;         // the steps below it may be run; all: the run may end
  };

  // Where other processes of this user open it.
  const std::string& path() const { return file_.path(); }
  // Gives a turn. REQUIRES: all workers have come to the end of the one before, if there was one;
  // end >= timed_from.
  void Grant(const Turn& turn);
  // Ends the turn that is on before the first step that nobody has begun, but not before step
  // `least` nor after the end that was granted. Returns the new end, before which all will park.
  int64_t Cut(int64_t least);
  // Whether every worker has come to `step`, that is, finished those before it.
  bool AllCameTo(int64_t step) const;
  // The same of the end of the last turn.
  bool AllCameToEnd() const;
  // Sleeps until AllCameTo(step), at most `limit`; says which. REQUIRES: `step` is not below the
  // end of the turn.
  bool AwaitAll(int64_t step, absl::Duration limit) const;
  // Of the last turn: from when the last worker came to `timed_from`, or the turn was given if that
  // was later, until the last one came to the end. REQUIRES: all have.
  double Seconds() const;

 private:
  explicit TurnGiver(SharedFile file) : file_(std::move(file)) {}

  const SharedFile file_;
};

// The other side: one process of a run.
class TurnTaker {
 public:
  // Errors: no such file, or one of another kind.
  static absl::StatusOr<std::unique_ptr<TurnTaker>> Open(const std::string& path);
  // Notes that worker `rank` has come to `step`, or with the number of all steps to the end, and
  // returns once it is granted: whether the step is timed. The status of `run`, asked about once a
  // second and at every Rouse, ends the wait. Several workers' threads may wait at once.
  absl::StatusOr<bool> Await(int32_t rank, int64_t step, const std::function<absl::Status()>& run);

  // Has all that wait, in every process, ask for the run's status now. Any thread.
  void Rouse();

 private:
  explicit TurnTaker(SharedFile file) : file_(std::move(file)) {}

  const SharedFile file_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TURNS_H_
