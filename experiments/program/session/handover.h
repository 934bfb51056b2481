#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_HANDOVER_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_HANDOVER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/params/param_layout.h"
#include "experiments/program/session/ringmaster.h"
#include "worker/model/model.h"

namespace ringmaster {

// Control passes between the training loop, whose step thread asks for gradients and scores, and
// the program, which computes them: one of the two waits while the other works. The program's
// mistakes are found here, by name. The functions of the program's side may be called by any of its
// threads, the loop's by the step thread alone.
class Handover {
 public:
  // Of a worker whose model has this layout, which outlives it.
  explicit Handover(const ParamLayout& layout) : layout_(layout) {}
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  // ---- the loop's side; an error is the program's failure

  // Gives the program `moment`, and waits: of a step until its backward begins, else until it has
  // been answered. What the moment points to stays as it is meanwhile.
  absl::Status Offer(const ringmaster_moment& moment);
  // Of a step that was offered: tells the program where gradients go, and waits until it ends the
  // step. `ready` is called by the program's threads, one at a time, for each bucket in order; an
  // error of it is returned.
  absl::Status AwaitGradients(float* gradients, BucketReady ready);
  // What the program said of the moment it answered last.
  BatchScore score() const;

  // The run is over and well; these are its weights.
  void FinishWell(const float* weights);
  // The run is over, with this status. Everything after this finds it so.
  void Finish(const absl::Status& status);

  // ---- the program's side

  // The next moment; its kind is RINGMASTER_WAITING where none has come within `timeout`, and
  // RINGMASTER_DONE at the end. The error is the run's.
  absl::StatusOr<ringmaster_moment> Next(absl::Duration timeout);
  // The rest: the functions of ringmaster.h of these names.
  absl::StatusOr<float*> Backward();
  absl::Status Ready(int64_t first, int64_t count);
  absl::Status EndStep(double loss);
  absl::Status Score(const BatchScore& score);

  // The program fails for this reason; the first counts.
  enum class Heard {
    kNow,    // the loop waits for the program, and hears of it at once
    kLater,  // when it next asks for something
    kNever,  // the run is over
  };
  Heard Fail(const absl::Status& why);

 private:
  // Who works, and on what.
  enum class State {
    kLoop,      // the loop
    kOffered,   // nobody: the program has not asked for the moment yet
    kForward,   // the program: forward of a step, or a score
    kAsked,     // the loop: the program waits for where gradients go
    kBackward,  // the program
  };

  bool LoopIsAsked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool ProgramIsAsked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool IsAnswered() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Enter(State state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits until it is `asked` for; false: not within `timeout`.
  bool Await(bool (Handover::*asked)() const, absl::Duration timeout = absl::InfiniteDuration())
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Keeps the program's failure and wakes whoever waits.
  absl::Status FailLocked(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // OK: the program may go on in `state`; else its mistake, or why the run has failed.
  absl::Status Check(State state, int32_t kind, const char* function)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Hands on the buckets whose tensors are all ready.
  absl::Status Deliver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The names of tensors that are not ready.
  std::string Missing() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const ParamLayout& layout_;
  mutable absl::Mutex mutex_;
  MonotonicCondVar changed_;  // state, failure or end
  State state_ ABSL_GUARDED_BY(mutex_) = State::kLoop;
  ringmaster_moment moment_ ABSL_GUARDED_BY(mutex_) = {};
  float* gradients_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::optional<BucketReady> ready_ ABSL_GUARDED_BY(mutex_);  // of the step in backward
  std::vector<bool> is_ready_ ABSL_GUARDED_BY(mutex_);        // by tensor, in backward
  size_t first_missing_ ABSL_GUARDED_BY(mutex_) = 0;          // tensor
  size_t next_bucket_ ABSL_GUARDED_BY(mutex_) = 0;            // to be handed on
  BatchScore score_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);  // the program's
  bool is_over_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);  // of the run, once it is over
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_HANDOVER_H_
