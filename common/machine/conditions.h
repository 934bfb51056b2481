#ifndef RINGMASTER_COMMON_MACHINE_CONDITIONS_H_
#define RINGMASTER_COMMON_MACHINE_CONDITIONS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Notes what else the machine does while a run takes place, from /proc and /sys. What the system
// does not tell is 0. One thread.
class ConditionsMeter {
 public:
  // The run begins.
  ConditionsMeter();

  // The run is over and its processes have been waited for: what was observed since.
  Conditions End() const;

 private:
  // Of all cores together, in seconds since the machine started.
  struct CoreTimes {
    double total = 0;
    double busy = 0;
    double stolen = 0;
  };
  static CoreTimes ReadCoreTimes();
  // Of this process and its children that have ended, in seconds.
  static double OwnSeconds();
  static int64_t ReadThrottles();

  MonotonicTime begin_;
  double load_ = 0;
  CoreTimes cores_;
  double own_seconds_ = 0;
  int64_t throttles_ = 0;
  absl::Duration stopped_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_CONDITIONS_H_
