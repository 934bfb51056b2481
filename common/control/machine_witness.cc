#include "common/control/machine_witness.h"

#include <signal.h>

#include <optional>
#include <utility>

#include "common/control/joins.h"
#include "common/machine/process_end.h"
#include "common/machine/process_tree.h"

namespace ringmaster {

MachineWitness::MachineWitness(const std::string& listens_at, const Reception& reception,
                               std::function<bool(int32_t)> is_starting)
    : listens_at_(listens_at), reception_(reception), is_starting_(std::move(is_starting)) {}

bool MachineWitness::IsStarting(int32_t index) {
  return is_starting_ != nullptr && is_starting_(index);
}

std::string MachineWitness::WhyMissing(const std::vector<MissingRank>& missing) const {
  return ringmaster::WhyMissing(missing, {listens_at_, reception_.endpoint().port},
                                reception_.Hindrance());
}

bool MachineWitness::IsHere(const Join& join) const { return ShareProcessIds(host_, HostOf(join)); }

std::string MachineWitness::HowItEnded(const Join& join) const {
  if (!IsHere(join)) return "";
  const std::optional<int> status = WaitStatusOf(static_cast<pid_t>(join.pid()));
  return status ? EndText(*status) : "";
}

bool MachineWitness::IsThere(const Join& join) const {
  return IsHere(join) && kill(static_cast<pid_t>(join.pid()), 0) == 0;
}

bool MachineWitness::IsSuspended(const Join& join) const {
  return IsHere(join) && ringmaster::IsSuspended(static_cast<pid_t>(join.pid()));
}

std::string MachineWitness::KilledForMemory(const std::string& how) const {
  const bool maybe = how.empty() || how == EndText(SIGKILL) || how == EndText((128 + SIGKILL) << 8);
  return maybe ? memory_kills_.Found() : "";
}

std::string MachineWitness::ReachedAt(const std::string& wildcard) const {
  return reception_.ReachedAt(wildcard);
}

}  // namespace ringmaster
