#ifndef RINGMASTER_COMMON_MACHINE_CONDITIONS_H_
#define RINGMASTER_COMMON_MACHINE_CONDITIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/machine/control_groups.h"
#include "proto/record.pb.h"

namespace ringmaster {

// What a machine has counted up to one moment, from /proc and /sys. What the system does not tell
// is 0.
struct MachineReading {
  MonotonicTime at;
  double load = 0;  // average number of runnable threads of the last minute
  // Of all cores together, in seconds since the machine started.
  double core_seconds = 0;  // busy or not
  double busy_seconds = 0;
  double stolen_seconds = 0;  // taken by other virtual machines
  // Computing time of this process and of all that it has started, whether it has ended or not.
  double own_seconds = 0;
  int64_t throttles = 0;   // times that a core was slowed because of its heat
  absl::Duration stopped;  // how long this process was (Ctrl-Z)
  Throttling quota;        // what the tightest CPU quota around this process did
};

// Takes some milliseconds. Thread-safe.
MachineReading ReadMachine();

// What else a machine did during some stretches of time, taken together: shares are of their whole
// time, so a short stretch weighs little. Pure. One thread.
class ConditionsSum {
 public:
  // A stretch from `begin` to `end`, two readings of one machine in this order.
  void Add(const MachineReading& begin, const MachineReading& end);

  // Of all stretches so far; `load_before` is that of the first one. None yet: all is 0.
  Conditions Total() const;

 private:
  Conditions sums_;  // without shares
  bool has_any_ = false;
  double core_seconds_ = 0;
  double stolen_seconds_ = 0;
  double foreign_seconds_ = 0;
};

// Notes what else the machine does while a run takes place. One thread.
class ConditionsMeter {
 public:
  // The run begins.
  ConditionsMeter() : begin_(ReadMachine()) {}

  // What was observed since. Without quotas, of which every process of a run tells
  // (common/machine/confinement.h).
  Conditions End() const;

  // Computing time so far of this process and all that it has started, in seconds.
  static double OwnSeconds();

 private:
  const MachineReading begin_;
};

// What took so much of the machine during some runs that their figures are doubtful: a phrase for
// each cause, "other processes used up to 40 % of the cores", with the most of any run. Empty:
// nothing. Pure, thread-safe.
std::vector<std::string> DisturbanceCauses(absl::Span<const Conditions* const> runs);

// What other processes do now, watched for `duration`.
Conditions WatchMachine(absl::Duration duration);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_CONDITIONS_H_
