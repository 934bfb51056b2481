#include "common/machine/conditions.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/stopped_time.h"
#include "common/machine/process_stat.h"
#include "common/machine/process_tree.h"

namespace ringmaster {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

constexpr double kForeignShareMuch = 0.05;
constexpr double kStolenShareMuch = 0.01;
// A thread that looks at the clock comes late on a busy machine too, by some tenths.
constexpr double kStoppedSecondsMuch = 0.2;

double Seconds(int who) {
  rusage usage{};
  return getrusage(who, &usage) == 0 ? Seconds(usage.ru_utime) + Seconds(usage.ru_stime) : 0;
}

// Of the periods of its CPU quotas, those in which one was used up.
double ThrottledShare(const Conditions& conditions) {
  return static_cast<double>(conditions.quota_throttled_periods()) /
         static_cast<double>(std::max<int64_t>(1, conditions.quota_periods()));
}

double ReadLoad() {
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  return load;
}

}  // namespace

ConditionsMeter::CoreTimes ConditionsMeter::ReadCoreTimes() {
  std::ifstream file("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft_interrupts = 0,
         stolen = 0;
  if (!(file >> name >> user >> nice >> system >> idle >> waiting >> interrupts >>
        soft_interrupts >> stolen))
    return {};
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const double busy = user + nice + system + interrupts + soft_interrupts;
  return {(busy + idle + waiting + stolen) / ticks, busy / ticks, stolen / ticks};
}

double ConditionsMeter::OwnSeconds() {
  // A process that is reaped meanwhile would count twice.
  constexpr int kTries = 3;
  double ended = Seconds(RUSAGE_CHILDREN);
  for (int i = 0;; ++i) {
    double living = 0;
    for (const pid_t pid : DescendantsOf(getpid())) {
      if (const std::optional<ProcessStat> stat = ReadProcessStat(pid))
        living += absl::ToDoubleSeconds(stat->cpu);
    }
    const double ended_now = Seconds(RUSAGE_CHILDREN);
    if (ended_now == ended || i + 1 == kTries) return Seconds(RUSAGE_SELF) + living + ended_now;
    ended = ended_now;
  }
}

int64_t ConditionsMeter::ReadThrottles() {
  int64_t throttles = 0;
  for (int core = 0;; ++core) {
    std::ifstream file(
        absl::StrCat("/sys/devices/system/cpu/cpu", core, "/thermal_throttle/core_throttle_count"));
    int64_t count = 0;
    if (!(file >> count)) return throttles;
    throttles += count;
  }
}

ConditionsMeter::ConditionsMeter()
    : begin_(MonotonicNow()),
      load_(ReadLoad()),
      cores_(ReadCoreTimes()),
      own_seconds_(OwnSeconds()),
      throttles_(ReadThrottles()),
      stopped_(StoppedTime()) {}

Conditions ConditionsMeter::End() const {
  Conditions conditions;
  conditions.set_load_before(load_);
  conditions.set_seconds(absl::ToDoubleSeconds(MonotonicNow() - begin_));
  conditions.set_stopped_seconds(absl::ToDoubleSeconds(StoppedTime() - stopped_));
  conditions.set_throttles(ReadThrottles() - throttles_);
  const CoreTimes cores = ReadCoreTimes();
  const double total = cores.total - cores_.total;
  if (total <= 0) return conditions;
  conditions.set_stolen_share((cores.stolen - cores_.stolen) / total);
  const double foreign = cores.busy - cores_.busy - (OwnSeconds() - own_seconds_);
  conditions.set_foreign_share(std::max(0.0, foreign / total));
  return conditions;
}

std::vector<std::string> DisturbanceCauses(absl::Span<const Conditions* const> runs) {
  double foreign = 0, stolen = 0, stopped = 0, throttled = 0;
  int64_t throttles = 0;
  for (const Conditions* const run : runs) {
    foreign = std::max(foreign, run->foreign_share());
    stolen = std::max(stolen, run->stolen_share());
    throttles = std::max(throttles, run->throttles());
    stopped = std::max(stopped, run->stopped_seconds());
    throttled = std::max(throttled, ThrottledShare(*run));
  }
  const char* const most = runs.size() > 1 ? "up to " : "";
  std::vector<std::string> causes;
  if (foreign > kForeignShareMuch)
    causes.push_back(
        absl::StrFormat("other processes used %s%.0f %% of the cores", most, 100 * foreign));
  if (stolen > kStolenShareMuch)
    causes.push_back(
        absl::StrFormat("other virtual machines took %s%.0f %% of the cores", most, 100 * stolen));
  if (throttles > 0)
    causes.push_back(absl::StrCat("heat slowed cores ", most, throttles, " times"));
  if (throttled > 0)
    causes.push_back(absl::StrFormat("a CPU quota stopped it in %s%.0f %% of its periods", most,
                                     100 * throttled));
  if (stopped > kStoppedSecondsMuch)
    causes.push_back(
        absl::StrFormat("stopped (Ctrl-Z) for %s%.1f s, which step times hold", most, stopped));
  return causes;
}

Conditions WatchMachine(absl::Duration duration) {
  const ConditionsMeter meter;
  absl::SleepFor(duration);
  return meter.End();
}

}  // namespace ringmaster
