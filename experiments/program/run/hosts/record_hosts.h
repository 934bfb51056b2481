#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_HOSTS_RECORD_HOSTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_HOSTS_RECORD_HOSTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/message.h"
#include "common/control/control_core.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/placement.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Puts into the record on which host each process ran, in place of what it says of that; nothing
// where not all had joined.
inline void FillHosts(const std::vector<ProcessState>& processes, RunRecord* record) {
  record->clear_hosts();
  const auto has_host = [](const ProcessState& process) { return process.host.has_value(); };
  if (!std::all_of(processes.begin(), processes.end(), has_host)) return;
  for (const ProcessState& process : processes) record->add_hosts(*process.host);
}

// The spec that the nodes of a run had once all had joined: of the resolved spec, where workers
// stand in an order that follows hosts (FormedGroupOrder). `hosts`: by process; empty: one host.
inline RunSpec FormedSpec(const RunSpec& resolved, const std::vector<int32_t>& hosts) {
  RunSpec spec = resolved;
  const SchemeTraits traits = TraitsOf(spec);
  if (!TakesGroupOrder(traits)) return spec;
  const std::vector<std::vector<NodeId>> processes = PlaceNodes(spec);
  std::vector<int32_t> of_workers(traits.workers);
  for (size_t process = 0; process < std::min(processes.size(), hosts.size()); ++process) {
    for (const NodeId& node : processes[process])
      if (node.role == Role::kWorker) of_workers[node.index] = hosts[process];
  }
  spec.mutable_strategy()->set_group_order(
      FormedGroupOrder(spec.strategy().group_order(), of_workers));
  return spec;
}

// The same of a record's run.
inline RunSpec FormedSpec(const RunRecord& record) {
  return FormedSpec(record.spec(), {record.hosts().begin(), record.hosts().end()});
}

// "worker/0-1+worker/4+server/0". `nodes`: ascending within a role.
inline std::string RangesText(const std::vector<NodeId>& nodes) {
  std::vector<std::string> ranges;
  for (size_t begin = 0, end = 0; begin < nodes.size(); begin = end) {
    end = begin + 1;
    while (end < nodes.size() && nodes[end].role == nodes[begin].role &&
           nodes[end].index == nodes[end - 1].index + 1) {
      ++end;
    }
    std::string& range = ranges.emplace_back(ToString(nodes[begin]));
    if (end > begin + 1) absl::StrAppend(&range, "-", nodes[end - 1].index);
  }
  return absl::StrJoin(ranges, "+");
}

// "2: worker/0-1, worker/2-3; groups of 2": which nodes ran on which host, and the size of a
// collective's groups where it has any. Empty: there was one host, or nobody knows.
inline std::string HostsText(const RunRecord& record) {
  constexpr size_t kNamedMax = 16;  // hosts that are named one by one
  const auto is_before = [](const NodeId& a, const NodeId& b) {
    if (a.role != b.role) return a.role == Role::kWorker;
    return a.index < b.index;
  };
  const std::vector<std::vector<NodeId>> processes = PlaceNodes(record.spec());
  std::vector<std::vector<NodeId>> hosts;
  for (size_t process = 0; process < processes.size(); ++process) {
    if (static_cast<int>(process) >= record.hosts_size()) return "";
    const auto host = static_cast<size_t>(record.hosts(static_cast<int>(process)));
    if (host >= hosts.size()) hosts.resize(host + 1);
    hosts[host].insert(hosts[host].end(), processes[process].begin(), processes[process].end());
  }
  if (hosts.size() < 2) return "";
  std::vector<std::string> names;
  for (size_t host = 0; host < std::min(hosts.size(), kNamedMax); ++host) {
    std::sort(hosts[host].begin(), hosts[host].end(), is_before);
    names.push_back(RangesText(hosts[host]));
  }
  if (hosts.size() > kNamedMax)
    names.push_back(absl::StrCat("and ", hosts.size() - kNamedMax, " more"));
  const int32_t group_size = TraitsOf(FormedSpec(record)).group_size;
  return absl::StrCat(hosts.size(), ": ", absl::StrJoin(names, ", "),
                      group_size > 0 ? absl::StrCat("; groups of ", group_size) : "");
}

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_HOSTS_RECORD_HOSTS_H_
