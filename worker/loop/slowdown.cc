#include "worker/loop/slowdown.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

// Names the streams of random delays among those of the training seed.
constexpr uint64_t kDelayStream = 0x736c6f77;

// Of a run that is over its processes are ended soon: no sleep is longer than this at once.
constexpr std::chrono::milliseconds kNap(50);

}  // namespace

Slowdown::Slowdown(const TrainingSpec& training, int32_t rank,
                   std::function<absl::Status()> interrupted)
    : interrupted_(std::move(interrupted)) {
  for (int i = 0; i < training.slowdowns_size(); ++i) {
    const SlowdownSpec& spec = training.slowdowns(i);
    if (std::find(spec.ranks().begin(), spec.ranks().end(), rank) == spec.ranks().end()) continue;
    switch (spec.kind_case()) {
      case SlowdownSpec::kFactor:
        factor_ *= spec.factor();
        break;
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

absl::Status Slowdown::Delay(int64_t step) const { return Sleep(DelayOf(step)); }

void Slowdown::Begin() {
  if (factor_ != 1) begin_ = Clock::now();
}

absl::Status Slowdown::Stretch() const {
  if (factor_ == 1) return absl::OkStatus();
  return Sleep(absl::FromChrono(Clock::now() - begin_) * (factor_ - 1));
}

absl::Status Slowdown::Sleep(absl::Duration duration) const {
  if (duration <= absl::ZeroDuration()) return absl::OkStatus();
  const Clock::time_point end = Clock::now() + absl::ToChronoNanoseconds(duration);
  for (Clock::time_point now = Clock::now(); now < end; now = Clock::now()) {
    RM_RETURN_IF_ERROR(interrupted_());
    std::this_thread::sleep_until(std::min(end, now + kNap));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
