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
// the step's first forward pass, so that all that the step exchanges is late; a factor stretches
// each piece of computing, so that every bucket is. All of it is a function of the spec, the rank
// and the step alone. One thread.
class Slowdown {
 public:
  // `interrupted`: asked now and then during a sleep; its error ends the sleep and is returned.
  Slowdown(const TrainingSpec& training, int32_t rank, std::function<absl::Status()> interrupted);

  // What the step is late by.
  absl::Duration DelayOf(int64_t step) const;
  double factor() const { return factor_; }

  // Sleeps for DelayOf(step).
  absl::Status Delay(int64_t step) const;

  // A piece of computing begins.
  void Begin();
  // It ends: sleeps for factor - 1 times what it has taken.
  absl::Status Stretch() const;

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

  absl::Status Sleep(absl::Duration duration) const;

  const std::function<absl::Status()> interrupted_;
  double factor_ = 1;
  std::vector<RandomDelay> random_;
  std::vector<PeriodicDelay> periodic_;
  std::vector<Pause> pauses_;
  Clock::time_point begin_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_SLOWDOWN_H_
