#include "common/machine/confinement.h"

#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/machine/host_identity.h"

namespace ringmaster {
namespace {

constexpr int kCoresMax = 1 << 16;

// The cores that this process may run on, ascending.
std::set<int> OwnMask() {
  for (int size = CPU_SETSIZE; size <= kCoresMax; size *= 2) {
    std::vector<cpu_set_t> sets(static_cast<size_t>(size / CPU_SETSIZE));
    const size_t bytes = sets.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(getpid(), bytes, sets.data()) != 0) {
      if (errno == EINVAL) continue;  // more cores than that
      break;
    }
    std::set<int> mask;
    for (int core = 0; core < size; ++core) {
      if (CPU_ISSET_S(core, bytes, sets.data())) mask.insert(core);
    }
    return mask;
  }
  return {};
}

// "0-3,8"
std::string MaskText(const std::set<int>& mask) {
  std::vector<std::string> ranges;
  for (auto core = mask.begin(); core != mask.end();) {
    const int first = *core;
    int last = first;
    while (++core != mask.end() && *core == last + 1) last = *core;
    ranges.push_back(last == first ? absl::StrCat(first) : absl::StrCat(first, "-", last));
  }
  return absl::StrJoin(ranges, ",");
}

void AddMask(const std::string& text, std::set<int>* mask) {
  for (const absl::string_view range : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::vector<std::string> ends = absl::StrSplit(range, '-');
    int first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last)) continue;
    for (int core = first; core <= std::min(last, kCoresMax); ++core) mask->insert(core);
  }
}

// What processes of one machine may use.
struct Share {
  std::set<int> mask;
  std::map<uint64_t, double> quotas;  // by group
  bool all_have_quotas = true;
};

}  // namespace

ConfinementMeter::ConfinementMeter(const ControlGroupMounts& mounts)
    : limits_(ReadControlLimits(mounts)) {
  if (limits_.cpu_quota) before_ = ReadThrottling(limits_.cpu_group);
}

Confinement ConfinementMeter::End() const {
  Confinement confinement;
  confinement.set_cpus(MaskText(OwnMask()));
  confinement.set_boot_hash(ReadBootHash());
  if (limits_.memory_bytes) confinement.set_memory_limit_bytes(*limits_.memory_bytes);
  if (!limits_.cpu_quota) return confinement;
  confinement.set_cpu_quota(*limits_.cpu_quota);
  // The number of its folder is the same from every container.
  struct stat info {};
  if (stat(limits_.cpu_group.folder.c_str(), &info) == 0) confinement.set_quota_group(info.st_ino);
  const Throttling now = ReadThrottling(limits_.cpu_group);
  confinement.set_quota_periods(now.periods - before_.periods);
  confinement.set_throttled_periods(now.throttled - before_.throttled);
  confinement.set_throttled_seconds(now.seconds - before_.seconds);
  return confinement;
}

UsableCores CountCores(absl::Span<const Confinement> processes) {
  std::map<std::string, Share> machines;
  for (const Confinement& process : processes) {
    Share& share = machines[process.boot_hash()];
    AddMask(process.cpus(), &share.mask);
    if (process.has_cpu_quota()) {
      share.quotas[process.quota_group()] = process.cpu_quota();
    } else {
      share.all_have_quotas = false;
    }
  }
  UsableCores usable;
  double quotas = 0;  // a machine without one counts by its masks
  bool has_quota = false;
  for (const auto& [boot, share] : machines) {
    const double masked = static_cast<double>(share.mask.size());
    double quota = masked;
    if (share.all_have_quotas) {
      quota = 0;
      for (const auto& [group, cores] : share.quotas) quota += cores;
      has_quota = true;
    }
    quotas += quota;
    usable.cores += static_cast<int32_t>(std::min(masked, std::ceil(quota - 1e-9)));
  }
  if (has_quota) usable.quota = quotas;
  if (!processes.empty()) usable.cpus = MaskText(machines[processes.front().boot_hash()].mask);
  return usable;
}

}  // namespace ringmaster
