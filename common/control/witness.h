#ifndef RINGMASTER_COMMON_CONTROL_WITNESS_H_
#define RINGMASTER_COMMON_CONTROL_WITNESS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/control/missing_ranks.h"
#include "proto/control.pb.h"

namespace ringmaster {

// What can be seen, from where the coordinator runs, of processes that do not speak for themselves.
// ControlCore asks when it must name a cause or an address: every answer is for the moment of the
// call, and an empty text means that nothing is known. One thread at a time.
class Witness {
 public:
  virtual ~Witness() = default;

  // Whether process `index`, which has not joined, is seen to get on with its start. It takes two
  // looks to see it move.
  virtual bool IsStarting(int32_t index) = 0;

  // Why each of `missing`, at least one, has not joined, and what to do.
  virtual std::string WhyMissing(const std::vector<MissingRank>& missing) const = 0;

  // How the process that joined as `join` has ended: "signal 9 (Killed)", "exit code 1".
  virtual std::string HowItEnded(const Join& join) const = 0;

  // Whether the process that joined as `join` is certain to exist.
  virtual bool IsThere(const Join& join) const = 0;

  // Whether that process is certain to be suspended.
  virtual bool IsSuspended(const Join& join) const = 0;

  // What the system has killed for want of memory, where that may be why a process ended as `how`
  // says.
  virtual std::string KilledForMemory(const std::string& how) const = 0;

  // The address by which processes of other machines came to this one, for a process here that
  // listens at `wildcard`.
  virtual std::string ReachedAt(const std::string& wildcard) const = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_WITNESS_H_
