#include "common/scheme/registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/exchange/parts.h"
#include "common/scheme/all_reduce/all_reduce.h"
#include "common/scheme/delayed/delayed.h"
#include "common/scheme/elastic/elastic.h"
#include "common/scheme/gossip/gossip.h"
#include "common/scheme/group_order.h"
#include "common/scheme/local_sgd/local_sgd.h"
#include "common/scheme/parameter_server/parameter_server.h"
#include "common/scheme/sharded_optimizer/sharded_optimizer.h"
#include "common/scheme/single/single.h"
#include "common/scheme/solo/solo.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// A new scheme is listed here, in schemes.bzl and in worker/strategy/registry.cc. docs/DESIGN.md,
// "Folders", has all that it takes.
constexpr const Scheme* kSchemes[] = {
    &kSingleScheme,  &kSoloScheme,   &kParameterServerScheme,  &kAllReduceScheme, &kLocalSgdScheme,
    &kElasticScheme, &kGossipScheme, &kShardedOptimizerScheme, &kDelayedScheme,
};
constexpr const Scheme* kDefaultScheme = &kParameterServerScheme;

// Makes `strategy` one of `scheme`, with nothing else set.
void Choose(const Scheme& scheme, StrategySpec* strategy) {
  const auto* field = StrategySpec::descriptor()->FindFieldByName(scheme.name);
  strategy->GetReflection()->MutableMessage(strategy, field);
}

// Whoever waits for others every step, or may not get ahead of them, makes as many steps as they.
void CheckWork(const RunSpec& resolved, Problems* problems) {
  if (resolved.strategy().work() != StrategySpec::CLAIMED) return;
  const SchemeTraits traits = TraitsOf(resolved);
  const bool is_free = traits.updates == Updates::kOnArrival && !traits.staleness_bound.has_value();
  if (!is_free) {
    problems->Add("strategy.work", "CLAIMED",
                  "workers that wait for each other make equal steps; use DEALT, or a scheme that "
                  "updates on arrival without a bound: parameter_server with consistency "
                  "ASYNCHRONOUS");
  }
  if (resolved.output().dump_batches().empty()) return;
  problems->Add("output.dump_batches", resolved.output().dump_batches(),
                "a file of batches has as many rows as there are steps, and workers that claim "
                "their work make unlike numbers of them; leave it out, or set strategy.work=DEALT");
}

// What a run of the resolved strategy can do when a process of it is lost.
StrategySpec::OnFailure WayToGoOn(int32_t workers, const StrategySpec& strategy) {
  // One process leaves nobody, and can be started again all the same.
  if (strategy.launch() == THREADS || workers < 2) return StrategySpec::RESTART;
  const SchemeTraits traits = FindScheme(strategy)->traits(strategy, workers);
  if (traits.may_continue) return StrategySpec::CONTINUE;
  return traits.may_reform ? StrategySpec::REFORM : StrategySpec::RESTART;
}

// What a run needs that may be started again.
void CheckStartingAgain(const RunSpec& resolved, Problems* problems) {
  if (resolved.strategy().on_failure() != StrategySpec::RESTART) return;
  if (resolved.output().dump_batches().empty() || !resolved.training().has_checkpoint_every_steps())
    return;
  problems->Add("strategy.on_failure", "RESTART",
                "a run that goes on from a checkpoint has not all batches; leave "
                "output.dump_batches out, or training.checkpoint_every_steps");
}

// What a run needs whose workers go on without one that is lost.
void CheckGoingOn(const RunSpec& resolved, Problems* problems) {
  if (resolved.strategy().on_failure() != StrategySpec::CONTINUE) return;
  const SchemeTraits traits = TraitsOf(resolved);
  const auto refuse = [problems](absl::string_view why) {
    problems->Add("strategy.on_failure", "CONTINUE", why);
  };
  if (!traits.may_continue) {
    refuse(
        "the others would wait for a lost worker for ever, or lack what it held; use "
        "parameter_server with consistency ASYNCHRONOUS or SSP, or with backup_workers, each with "
        "servers apart, elastic with mode ASYNCHRONOUS, or gossip; or RESTART, after which all "
        "processes are started again");
    return;
  }
  if (resolved.strategy().launch() == THREADS || traits.workers < 2)
    refuse("nobody is left when the process is lost; use PROCESSES and 2 or more workers");
  if (resolved.training().has_checkpoint_every_steps() || resolved.output().has_resume_step()) {
    refuse(
        "a checkpoint would lack what a lost worker had begun; leave "
        "training.checkpoint_every_steps out, or use RESTART");
  }
  if (resolved.transport().has_network()) {
    refuse(
        "a shaped network is played by all processes together and does not outlive one; leave "
        "transport.network out");
  }
  const int64_t lots = resolved.training().steps() * traits.workers;
  if (traits.work == Work::kClaimed && lots > kPushLotsMax) {
    refuse(absl::StrCat("of the ", lots, " lots (steps * workers) a push can tell ", kPushLotsMax,
                        " apart; make fewer steps"));
  }
}

}  // namespace

absl::Span<const Scheme* const> Schemes() { return kSchemes; }

std::string SchemeNames() {
  return absl::StrJoin(kSchemes, ", ",
                       [](std::string* out, const Scheme* scheme) { out->append(scheme->name); });
}

const Scheme* FindScheme(const StrategySpec& strategy) {
  const auto* kind = StrategySpec::descriptor()->FindOneofByName("kind");
  const auto* field = strategy.GetReflection()->GetOneofFieldDescriptor(strategy, kind);
  return field == nullptr ? nullptr : FindScheme(field->name());
}

const Scheme* FindScheme(absl::string_view name) {
  for (const Scheme* scheme : kSchemes) {
    if (scheme->name == name) return scheme;
  }
  return nullptr;
}

absl::string_view WorkName(Work work) { return work == Work::kClaimed ? "claimed" : "dealt"; }

SchemeTraits TraitsOf(const RunSpec& spec) {
  const int32_t workers = spec.training().workers();
  SchemeTraits traits;
  if (const Scheme* scheme = FindScheme(spec.strategy())) {
    traits = scheme->traits(spec.strategy(), workers);
  } else {
    traits.workers = workers;
    traits.exchanges = false;
  }
  if (spec.strategy().work() == StrategySpec::CLAIMED) traits.work = Work::kClaimed;
  const bool threads = spec.strategy().launch() == THREADS;
  traits.processes =
      threads ? 1 : traits.workers + (traits.servers_beside_workers ? 0 : traits.servers);
  return traits;
}

void ResolveStrategy(int32_t workers, StrategySpec* strategy) {
  if (FindScheme(*strategy) == nullptr) Choose(*kDefaultScheme, strategy);
  if (strategy->launch() == LAUNCH_MODE_UNSET) strategy->set_launch(PROCESSES);
  FindScheme(*strategy)->resolve(workers, strategy);
  ResolveGroupOrder(FindScheme(*strategy)->traits(*strategy, workers), strategy);
  if (strategy->on_failure() == StrategySpec::GO_ON)
    strategy->set_on_failure(WayToGoOn(workers, *strategy));
}

void CheckStrategy(const RunSpec& resolved, Problems* problems) {
  const Scheme* scheme = FindScheme(resolved.strategy());
  if (scheme == nullptr) {
    problems->Add("strategy", "(none)", absl::StrCat("set one of ", SchemeNames()));
    return;
  }
  scheme->check(resolved, problems);
  CheckGroupOrder(resolved.strategy(), TraitsOf(resolved), problems);
  CheckWork(resolved, problems);
  CheckGoingOn(resolved, problems);
  CheckStartingAgain(resolved, problems);
}

absl::StatusOr<RunTraffic> RunTrafficOf(const RunSpec& resolved, const ParamLayout& layout,
                                        NodeId node, int64_t steps) {
  const Scheme* scheme = FindScheme(resolved.strategy());
  if (scheme == nullptr || scheme->traffic == nullptr) return RunTraffic{};
  return scheme->traffic(resolved, layout, node, steps);
}

std::string RuleOf(const RunSpec& resolved) {
  const Scheme* scheme = FindScheme(resolved.strategy());
  return scheme == nullptr || scheme->rule == nullptr ? "" : scheme->rule(resolved);
}

}  // namespace ringmaster
