#ifndef RINGMASTER_WORKER_LOOP_SLOWDOWN_H_
#define RINGMASTER_WORKER_LOOP_SLOWDOWN_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/trace/trace.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What makes one rank's computing slower than its machine (training.slowdowns). Delays come before
// the step's first forward pass, so that all that the step exchanges is late. A factor stretches
// each piece of computing, so that every bucket is late; emulated computing takes its factor with
// its times (worker/model/emulated.h). All of it is a function of the spec, the rank and the step
// alone. One thread.
class Slowdown {
 public:
  // `interrupted`: as of SleepUntil (common/base/interruptible_sleep.h).
  Slowdown(const TrainingSpec& training, int32_t rank, std::function<absl::Status()> interrupted);

  // What the step is late by.
  absl::Duration DelayOf(int64_t step) const;
  // By which Stretch stretches: 1 where computing is emulated.
  double factor() const { return factor_ * more_; }

  // Beside what the spec says, computing takes `more` times as long from now on; 1: no longer.
  // Where it is emulated that changes nothing here.
  void SlowBy(double more) { more_ = is_emulated_ ? 1 : more; }

  // Sleeps for DelayOf(step).
  absl::Status Delay(int64_t step) const;

  // A piece of computing begins.
  void Begin();
  // It ends: sleeps for factor - 1 times what it has taken, less what the sleeps before were too
  // long by, so the sum of many pieces is stretched exactly.
  absl::Status Stretch();

 private:
  struct RandomDelay {
    uint64_t seed = 0;
    double probability = 0;
    absl::Duration delay;
  };
  struct PeriodicDelay {
    int64_t every_steps = 1;
    absl::Duration delay;
  };
  struct Pause {
    int64_t step = 0;
    absl::Duration delay;
  };

  const std::function<absl::Status()> interrupted_;
  const bool is_emulated_;
  const double factor_;
  double more_ = 1;
  std::vector<RandomDelay> random_;
  std::vector<PeriodicDelay> periodic_;
  std::vector<Pause> pauses_;
  Clock::time_point begin_;
  Clock::duration overslept_{0};
};

// The product of the factors by which `training` slows `rank` down; 1 where it names none.
double SlowdownFactor(const TrainingSpec& training, int32_t rank);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_SLOWDOWN_H_
