#ifndef RINGMASTER_COMMON_CONTROL_MACHINE_WITNESS_H_
#define RINGMASTER_COMMON_CONTROL_MACHINE_WITNESS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/control/reception.h"
#include "common/control/witness.h"
#include "common/machine/host_identity.h"
#include "common/machine/memory_kills.h"

namespace ringmaster {

// Sees what /proc shows of the processes of this machine, and what the coordinator's reception
// knows of addresses.
class MachineWitness : public Witness {
 public:
  // `listens_at`: the host at which the coordinator was told to listen. `reception` outlives this.
  // `is_starting` answers IsStarting; absent: nobody is seen to start. Memory kills count from now
  // on.
  MachineWitness(const std::string& listens_at, const Reception& reception,
                 std::function<bool(int32_t)> is_starting);

  bool IsStarting(int32_t index) override;
  std::string WhyMissing(const std::vector<MissingRank>& missing) const override;
  std::string HowItEnded(const Join& join) const override;
  bool IsThere(const Join& join) const override;
  bool IsSuspended(const Join& join) const override;
  std::string KilledForMemory(const std::string& how) const override;
  std::string ReachedAt(const std::string& wildcard) const override;

 private:
  // Whether this process sees that one by its number.
  bool IsHere(const Join& join) const;

  const std::string listens_at_;
  const Reception& reception_;
  const std::function<bool(int32_t)> is_starting_;
  const HostIdentity host_ = ReadHostIdentity();
  const MemoryKills memory_kills_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_MACHINE_WITNESS_H_
