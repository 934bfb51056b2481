#include "common/machine/conditions.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/stopped_time.h"

namespace ringmaster {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
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
  double seconds = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (getrusage(who, &usage) == 0) seconds += Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  }
  return seconds;
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

}  // namespace ringmaster
