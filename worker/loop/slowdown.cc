#include "worker/loop/slowdown.h"

#include <algorithm>
#include <utility>

#include "common/base/interruptible_sleep.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

// Names the streams of random delays among those of the training seed.
constexpr uint64_t kDelayStream = 0x736c6f77;

bool Names(const SlowdownSpec& slowdown, int32_t rank) {
  return std::find(slowdown.ranks().begin(), slowdown.ranks().end(), rank) !=
         slowdown.ranks().end();
}

}  // namespace

Slowdown::Slowdown(const TrainingSpec& training, int32_t rank,
                   std::function<absl::Status()> interrupted)
    : interrupted_(std::move(interrupted)),
      is_emulated_(training.has_emulated_compute()),
      factor_(is_emulated_ ? 1 : SlowdownFactor(training, rank)) {
  for (int i = 0; i < training.slowdowns_size(); ++i) {
    const SlowdownSpec& spec = training.slowdowns(i);
    if (!Names(spec, rank)) continue;
    switch (spec.kind_case()) {
      case SlowdownSpec::kRandom: {
        uint64_t seed = MixSeed(training.seed(), kDelayStream);
        for (const int32_t stream : {i, rank}) seed = MixSeed(seed, static_cast<uint64_t>(stream));
        random_.push_back(
            {seed, spec.random().probability(), absl::Milliseconds(spec.random().milliseconds())});
        break;
      }
      case SlowdownSpec::kPeriodic:
        periodic_.push_back(
            {spec.periodic().every_steps(), absl::Milliseconds(spec.periodic().milliseconds())});
        break;
      case SlowdownSpec::kPause:
        pauses_.push_back({spec.pause().step(), absl::Milliseconds(spec.pause().milliseconds())});
        break;
      case SlowdownSpec::kFactor:
      case SlowdownSpec::KIND_NOT_SET:
        break;
    }
  }
}

absl::Duration Slowdown::DelayOf(int64_t step) const {
  absl::Duration delay;
  for (const RandomDelay& random : random_) {
    if (Random(MixSeed(random.seed, static_cast<uint64_t>(step))).Uniform() < random.probability)
      delay += random.delay;
  }
  for (const PeriodicDelay& periodic : periodic_) {
    if ((step + 1) % periodic.every_steps == 0) delay += periodic.delay;
  }
  for (const Pause& pause : pauses_) {
    if (step == pause.step) delay += pause.delay;
  }
  return delay;
}

absl::Status Slowdown::Delay(int64_t step) const {
  return SleepUntil(Clock::now() + absl::ToChronoNanoseconds(DelayOf(step)), interrupted_);
}

void Slowdown::Begin() {
  if (factor() != 1) begin_ = Clock::now();
}

absl::Status Slowdown::Stretch() {
  if (factor() == 1) return absl::OkStatus();
  const Clock::time_point now = Clock::now();
  const auto stretch = std::chrono::duration_cast<Clock::duration>((now - begin_) * (factor() - 1));
  const Clock::time_point end = now + stretch - overslept_;
  RM_RETURN_IF_ERROR(SleepUntil(end, interrupted_));
  overslept_ = Clock::now() - end;
  return absl::OkStatus();
}

double SlowdownFactor(const TrainingSpec& training, int32_t rank) {
  double factor = 1;
  for (const SlowdownSpec& slowdown : training.slowdowns()) {
    if (slowdown.has_factor() && Names(slowdown, rank)) factor *= slowdown.factor();
  }
  return factor;
}

}  // namespace ringmaster
