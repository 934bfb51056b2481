#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LOSSES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LOSSES_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/describe.h"
#include "common/control/control_core.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/join_limit.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"
#include "worker/loop/conductor.h"

namespace ringmaster {

// Whether the resolved spec's run can go on with these nodes: servers hold what nobody else has,
// and each worker takes its share of the global batch. FailedPrecondition and InvalidArgument say
// why not.
inline absl::Status CanGoOnWith(const RunSpec& spec, const std::vector<NodeName>& left) {
  std::vector<int32_t> ranks;
  int32_t servers = 0;
  for (const NodeName& node : left) {
    if (node.server()) {
      ++servers;
    } else {
      ranks.push_back(static_cast<int32_t>(ranks.size()));
    }
  }
  if (servers < TraitsOf(spec).servers)
    return absl::FailedPreconditionError("weights are lost with a server");
  return ReformedSpec(spec, ranks).status();
}

// Whether those of the nodes that are left can go on where they are: servers hold what nobody else
// has, and an update needs some workers. FailedPrecondition says why not.
inline absl::Status CanContinueWith(const SchemeTraits& traits, const std::vector<NodeName>& left) {
  const auto servers =
      std::count_if(left.begin(), left.end(), [](const NodeName& node) { return node.server(); });
  if (servers < traits.servers)
    return absl::FailedPreconditionError("weights are lost with a server");
  const auto workers = static_cast<int32_t>(left.size() - servers);
  const int32_t needed = traits.backup_workers > 0 ? traits.workers - traits.backup_workers : 1;
  if (workers >= needed) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("an update needs ", needed, " workers, and ", workers, " are left"));
}

// What the loss of a process leads to in the resolved spec's run.
inline LossRules LossRulesOf(const RunSpec& spec) {
  LossRules rules;
  if (StartsAgain(spec)) rules.then = AfterLoss::kRestart;
  if (GoesOn(spec)) {
    rules.then = AfterLoss::kContinue;
    rules.goes_on_until = kTrained;
    rules.can_go_on = [traits = TraitsOf(spec)](const std::vector<NodeName>& left) {
      return CanContinueWith(traits, left);
    };
    return rules;
  }
  if (!MayReform(spec)) return rules;
  rules.then = AfterLoss::kReform;
  rules.reform_limit = JoinLimit(spec);
  rules.can_go_on = [spec](const std::vector<NodeName>& left) { return CanGoOnWith(spec, left); };
  return rules;
}

// "worker/1 at step 12 (signal 9 (Killed))"
inline std::string LossText(const Loss& loss) {
  return absl::StrCat(absl::StrJoin(loss.nodes(), "+"), " at step ", loss.step(), " (", loss.how(),
                      ")");
}

// Puts the processes that were lost in a run that went on into the record, with the mean training
// losses before and after. Its reports are there.
inline void FillLosses(const std::vector<Loss>& losses, RunRecord* record) {
  for (const Loss& lost : losses) {
    Loss& loss = *record->add_losses() = lost;
    const bool went_back = loss.reformed() || loss.restarted();
    const auto step = static_cast<int>(went_back ? loss.resumed_step() : loss.step());
    double before = 0, after = 0;
    int workers = 0;
    for (const ProcessReport& process : record->reports()) {
      for (const WorkerReport& worker : process.workers()) {
        if (step < 1 || worker.step_loss_size() <= step) continue;
        before += worker.step_loss(step - 1);
        after += worker.step_loss(step);
        ++workers;
      }
    }
    if (workers == 0) continue;
    loss.set_loss_before(before / workers);
    loss.set_loss_after(after / workers);
  }
}

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LOSSES_H_
