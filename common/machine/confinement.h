#ifndef RINGMASTER_COMMON_MACHINE_CONFINEMENT_H_
#define RINGMASTER_COMMON_MACHINE_CONFINEMENT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "common/machine/control_groups.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Notes what part of its machine this process is held to, and what its CPU quota does to it. One
// thread.
class ConfinementMeter {
 public:
  // Counts from now on.
  explicit ConfinementMeter(const ControlGroupMounts& mounts = {});

  // What holds since then; `nodes` stay empty. A fact that the system does not tell stays empty.
  Confinement End() const;

  const ControlLimits& limits() const { return limits_; }

 private:
  ControlLimits limits_;
  Throttling before_;
};

// What the processes of a run could use together.
struct UsableCores {
  int32_t cores = 0;            // 0: unknown
  std::optional<double> quota;  // exactly; absent: none
  std::string cpus;             // of the first process's machine
};

// Of each machine as many cores as its processes' masks hold together, but no more than their CPU
// quota, rounded up; a quota that several processes share counts once. The sum over machines. Pure,
// thread-safe.
UsableCores CountCores(absl::Span<const Confinement> processes);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_CONFINEMENT_H_
