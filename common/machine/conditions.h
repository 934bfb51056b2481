#ifndef RINGMASTER_COMMON_MACHINE_CONDITIONS_H_
#define RINGMASTER_COMMON_MACHINE_CONDITIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Notes what else the machine does while a run takes place, from /proc and /sys. Whatever this
// process has started is no other process, whether it has ended or not. What the system does not
// tell is 0. One thread.
class ConditionsMeter {
 public:
  // The run begins.
  ConditionsMeter();

  // What was observed since.
  Conditions End() const;

  // Computing time so far of this process and all that it has started, in seconds.
  static double OwnSeconds();

 private:
  // Of all cores together, in seconds since the machine started.
  struct CoreTimes {
    double total = 0;
    double busy = 0;
    double stolen = 0;
  };
  static CoreTimes ReadCoreTimes();
  static int64_t ReadThrottles();

  MonotonicTime begin_;
  double load_ = 0;
  CoreTimes cores_;
  double own_seconds_ = 0;
  int64_t throttles_ = 0;
  absl::Duration stopped_;
};

// What took so much of the machine during some runs that their figures are doubtful: a phrase for
// each cause, "other processes used up to 40 % of the cores", with the most of any run. Empty:
// nothing. Pure, thread-safe.
std::vector<std::string> DisturbanceCauses(absl::Span<const Conditions* const> runs);

// What other processes do now, watched for `duration`.
Conditions WatchMachine(absl::Duration duration);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_CONDITIONS_H_
