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

void ReadCoreTimes(MachineReading* reading) {
  std::ifstream file("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft_interrupts = 0,
         stolen = 0;
  if (!(file >> name >> user >> nice >> system >> idle >> waiting >> interrupts >>
        soft_interrupts >> stolen))
    return;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const double busy = user + nice + system + interrupts + soft_interrupts;
  reading->core_seconds = (busy + idle + waiting + stolen) / ticks;
  reading->busy_seconds = busy / ticks;
  reading->stolen_seconds = stolen / ticks;
}

int64_t ReadThrottles() {
  int64_t throttles = 0;
  for (int core = 0;; ++core) {
    std::ifstream file(
        absl::StrCat("/sys/devices/system/cpu/cpu", core, "/thermal_throttle/core_throttle_count"));
    int64_t count = 0;
    if (!(file >> count)) return throttles;
    throttles += count;
  }
}

Throttling ReadQuota() {
  const ControlLimits limits = ReadControlLimits();
  return limits.cpu_quota ? ReadThrottling(limits.cpu_group) : Throttling();
}

}  // namespace

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

MachineReading ReadMachine() {
  MachineReading reading;
  reading.at = MonotonicNow();
  reading.load = ReadLoad();
  ReadCoreTimes(&reading);
  reading.own_seconds = ConditionsMeter::OwnSeconds();
  reading.throttles = ReadThrottles();
  reading.stopped = StoppedTime();
  reading.quota = ReadQuota();
  return reading;
}

void ConditionsSum::Add(const MachineReading& begin, const MachineReading& end) {
  if (!has_any_) sums_.set_load_before(begin.load);
  has_any_ = true;
  sums_.set_seconds(sums_.seconds() + absl::ToDoubleSeconds(end.at - begin.at));
  sums_.set_stopped_seconds(sums_.stopped_seconds() +
                            absl::ToDoubleSeconds(end.stopped - begin.stopped));
  sums_.set_throttles(sums_.throttles() + end.throttles - begin.throttles);
  sums_.set_quota_periods(sums_.quota_periods() + end.quota.periods - begin.quota.periods);
  sums_.set_quota_throttled_periods(sums_.quota_throttled_periods() + end.quota.throttled -
                                    begin.quota.throttled);
  sums_.set_quota_throttled_seconds(sums_.quota_throttled_seconds() + end.quota.seconds -
                                    begin.quota.seconds);
  core_seconds_ += end.core_seconds - begin.core_seconds;
  stolen_seconds_ += end.stolen_seconds - begin.stolen_seconds;
  foreign_seconds_ += end.busy_seconds - begin.busy_seconds - (end.own_seconds - begin.own_seconds);
}

Conditions ConditionsSum::Total() const {
  Conditions total = sums_;
  if (core_seconds_ <= 0) return total;
  total.set_stolen_share(stolen_seconds_ / core_seconds_);
  // The system counts cores and processes by unlike clocks, so a quiet stretch may come out below
  // 0; only the sum of all is cut there.
  total.set_foreign_share(std::max(0.0, foreign_seconds_ / core_seconds_));
  return total;
}

Conditions ConditionsMeter::End() const {
  ConditionsSum sum;
  sum.Add(begin_, ReadMachine());
  Conditions conditions = sum.Total();
  conditions.clear_quota_periods();
  conditions.clear_quota_throttled_periods();
  conditions.clear_quota_throttled_seconds();
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
