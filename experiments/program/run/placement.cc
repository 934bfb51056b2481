#include "experiments/program/run/placement.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/machine/process_name.h"
#include "common/scheme/registry.h"

namespace ringmaster {
namespace {

// The place of a node: workers at 0..N-1, dedicated servers after them.
int32_t PlaceOf(const SchemeTraits& traits, NodeId node) {
  if (node.role == Role::kWorker) return node.index;
  return node.index + (traits.servers_beside_workers ? 0 : traits.workers);
}

}  // namespace

int32_t TrainingWorkers(const RunSpec& spec) { return TraitsOf(spec).workers; }

std::vector<std::vector<NodeId>> PlaceNodes(const RunSpec& spec) {
  const SchemeTraits traits = TraitsOf(spec);
  const bool in_one = traits.processes == 1;
  std::vector<std::vector<NodeId>> processes;
  const auto place = [&](NodeId node) {
    const size_t process = in_one ? 0 : PlaceOf(traits, node);
    if (processes.size() <= process) processes.resize(process + 1);
    processes[process].push_back(node);
  };
  for (int32_t rank = 0; rank < traits.workers; ++rank) place({Role::kWorker, rank});
  for (int32_t server = 0; server < traits.servers; ++server) place({Role::kServer, server});
  return processes;
}

std::string NamesOf(const std::vector<NodeId>& nodes) {
  return absl::StrJoin(nodes, "+", [](std::string* out, const NodeId& node) {
    absl::StrAppend(out, ToString(node));
  });
}

void NameProcess(const std::vector<NodeId>& nodes) {
  const std::string names = NamesOf(nodes);
  RenameProcess(absl::StrCat("ringmaster: ", names), absl::StrCat("rm:", names));
}

bool AreColocated(const SchemeTraits& traits, NodeId a, NodeId b) {
  return PlaceOf(traits, a) == PlaceOf(traits, b);
}

bool AreColocated(const RunSpec& spec, NodeId a, NodeId b) {
  return AreColocated(TraitsOf(spec), a, b);
}

}  // namespace ringmaster
