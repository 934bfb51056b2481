#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FORMATIONS_FORMATION_CORE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FORMATIONS_FORMATION_CORE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/message.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/state/kept_steps.h"
#include "common/state/state.h"
#include "experiments/program/run/placement.h"
#include "proto/control.pb.h"
#include "proto/run_spec.pb.h"
#include "server/shard_core.h"

namespace ringmaster {

// Which formation of a run this is, for one of its processes.
struct FormationPlace {
  int32_t epoch = 0;    // 0: the first
  int32_t process = 0;  // index of this process in it
  int64_t first_step = 0;
};

// What a node goes on from in the formation that follows the one it was in.
struct NodeStates {
  KeptSteps steps;             // of the formation that it is in, or was in last
  std::optional<State> state;  // that it begins with; absent: the initial weights
};

// What one process of a run decides about the formations that it is in, one after the other: which
// spec holds, which nodes it has, from which steps it can go on, and with which states. Pure. One
// thread at a time.
class FormationCore {
 public:
  // Of process `process` in the first formation of the resolved `spec`. `states`: of its nodes, in
  // the order of PlaceNodes, which outlive this; empty: nobody goes back to a step.
  FormationCore(const RunSpec& spec, int32_t process, std::vector<NodeStates*> states)
      : spec_(spec),
        place_{0, process, spec.output().resume_step()},
        nodes_(PlaceNodes(spec)[process]),
        states_(std::move(states)) {}

  // The spec of this formation, the process's place in it, and its nodes.
  const RunSpec& spec() const { return spec_; }
  const FormationPlace& place() const { return place_; }
  const std::vector<NodeId>& nodes() const { return nodes_; }

  // The steps before which all nodes of this process can go on, in ascending order.
  std::vector<int64_t> StepsToGoOnFrom() const {
    std::optional<std::vector<int64_t>> common;
    for (const NodeStates* node : states_) {
      std::vector<int64_t> steps = node->steps.steps();
      // It has begun none in the last formation.
      if (steps.empty() && (node->state || place_.first_step == 0)) steps = {place_.first_step};
      if (!common) {
        common = steps;
        continue;
      }
      std::vector<int64_t> both;
      std::set_intersection(common->begin(), common->end(), steps.begin(), steps.end(),
                            std::back_inserter(both));
      common = both;
    }
    return common.value_or(std::vector<int64_t>());
  }

  // The process is welcomed to the formation that follows: from here on this is of that one, and
  // its nodes' states are those before welcome.step(). REQUIRES: `welcome` is to the very next
  // formation that there was, and its step is one of StepsToGoOnFrom(). Errors: as of ShardStateOf
  // and ReformedSpec.
  absl::Status GoOn(const Welcome& welcome) {
    const int32_t workers_before = spec_.training().workers();
    const NodeId first = nodes_.front();
    std::vector<int32_t> left;  // ranks of the formation before
    for (int i = 0; i < welcome.processes_size(); ++i) {
      for (const NodeName& node : welcome.processes(i).nodes_before()) {
        if (!node.server()) left.push_back(node.index());
        const Role role = node.server() ? Role::kServer : Role::kWorker;
        if (first == NodeId{role, node.index()}) place_.process = i;
      }
    }
    for (size_t i = 0; i < states_.size(); ++i) {
      NodeStates& node = *states_[i];
      if (!node.steps.steps().empty()) node.state = node.steps.Take(welcome.step());
      if (nodes_[i].role == Role::kWorker || !node.state) continue;
      RM_ASSIGN_OR_RETURN(node.state, ShardStateOf(left, workers_before, *std::move(node.state)));
    }
    RM_ASSIGN_OR_RETURN(spec_, ReformedSpec(spec_, left));
    place_.epoch = welcome.epoch();
    place_.first_step = welcome.step();
    nodes_ = PlaceNodes(spec_)[place_.process];
    return absl::OkStatus();
  }

 private:
  RunSpec spec_;
  FormationPlace place_;
  std::vector<NodeId> nodes_;
  const std::vector<NodeStates*> states_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FORMATIONS_FORMATION_CORE_H_
