#include "experiments/study/results/machines.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <tuple>

namespace ringmaster {
namespace {

bool NotesBoot(const Machine& machine) { return !machine.boot_hash().empty(); }

// A kernel keeps a little more or less for itself from boot to boot.
bool HaveSameMemory(const Machine& a, const Machine& b) {
  return std::abs(a.memory_bytes() - b.memory_bytes()) <=
         std::max(a.memory_bytes(), b.memory_bytes()) / 100;
}

// REQUIRES: both note their boots.
bool AreOne(const Machine& a, const Machine& b) {
  if (a.boot_hash() == b.boot_hash()) return true;
  return !a.machine_hash().empty() && a.machine_hash() == b.machine_hash() && a.cpu() == b.cpu() &&
         HaveSameMemory(a, b);
}

// Sets of records that are found to be of one machine.
class Sets {
 public:
  explicit Sets(size_t size) : parents_(size) {
    for (size_t i = 0; i < size; ++i) parents_[i] = i;
  }
  size_t Find(size_t i) const {
    while (parents_[i] != i) i = parents_[i];
    return i;
  }
  // The earlier one stands for both.
  void Join(size_t a, size_t b) {
    const size_t first = std::min(Find(a), Find(b)), second = std::max(Find(a), Find(b));
    parents_[second] = first;
  }

 private:
  std::vector<size_t> parents_;
};

}  // namespace

std::vector<int> MachineNumbers(absl::Span<const Machine* const> machines) {
  Sets sets(machines.size());
  // A record of each identity: of one boot there are several where containers have other ids.
  std::map<std::tuple<std::string, std::string, std::string, int64_t>, size_t> identities;
  std::map<std::string, size_t> of_host;      // the first of a host name that notes its boot
  std::map<std::string, size_t> of_old_host;  // the first that does not
  for (size_t i = 0; i < machines.size(); ++i) {
    if (!NotesBoot(*machines[i])) continue;
    of_host.try_emplace(machines[i]->host_hash(), i);
    const Machine& own = *machines[i];
    const auto [same, is_new] = identities.try_emplace(
        {own.boot_hash(), own.machine_hash(), own.cpu(), own.memory_bytes()}, i);
    sets.Join(same->second, i);
    if (!is_new) continue;
    for (const auto& [identity, other] : identities) {
      if (AreOne(*machines[other], own)) sets.Join(other, i);
    }
  }
  for (size_t i = 0; i < machines.size(); ++i) {
    if (NotesBoot(*machines[i])) continue;
    const std::string& host = machines[i]->host_hash();
    const auto known = of_host.find(host);
    sets.Join(
        known != of_host.end() ? known->second : of_old_host.try_emplace(host, i).first->second, i);
  }
  std::map<size_t, int> numbers;
  std::vector<int> result;
  for (size_t i = 0; i < machines.size(); ++i)
    result.push_back(
        numbers.try_emplace(sets.Find(i), static_cast<int>(numbers.size())).first->second);
  return result;
}

int CountMachines(absl::Span<const Machine* const> machines) {
  const std::vector<int> numbers = MachineNumbers(machines);
  return numbers.empty() ? 0 : 1 + *std::max_element(numbers.begin(), numbers.end());
}

}  // namespace ringmaster
