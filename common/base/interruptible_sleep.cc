#include "common/base/interruptible_sleep.h"

#include <algorithm>
#include <thread>

#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

// When a run is over its processes end soon: no single sleep is longer than this.
constexpr std::chrono::milliseconds kNap(50);

}  // namespace

absl::Status SleepUntil(std::chrono::steady_clock::time_point end,
                        const std::function<absl::Status()>& interrupted) {
  using Clock = std::chrono::steady_clock;
  for (Clock::time_point now = Clock::now(); now < end; now = Clock::now()) {
    if (interrupted) RM_RETURN_IF_ERROR(interrupted());
    std::this_thread::sleep_until(std::min(end, now + kNap));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
