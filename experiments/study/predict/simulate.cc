#include "experiments/study/predict/simulate.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/control/dealing.h"
#include "common/scheme/registry.h"
#include "experiments/study/predict/simulated_cluster.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {
namespace {

// Steps played, and those of the beginning that do not count.
struct Length {
  int64_t steps = 0;
  int64_t settle = 0;
};
// Arms without a common beat settle within some, and what is random is averaged over many.
constexpr Length kManySteps = {70, 30};
// Where all keep in step and nothing is random, each step is soon the one before it.
constexpr Length kFewSteps = {8, 4};
// With very many messages a step, as few as that.
constexpr Length kFewestSteps = {2, 1};
// This many messages are played in a few seconds.
constexpr int64_t kMessagesMax = 400 << 10;

// Where nobody keeps workers in step, each step's computing takes up to so much less or more of
// itself, as it does in a run, and workers begin one after the other. Without both all would push
// at once and pull at once for ever, and leave half of every card idle.
constexpr double kDrift = 0.05;
// Enough to see the end of the first step's exchange.
constexpr int64_t kStepsAlone = 3;

// `step_messages`: about the number of messages sent in a step.
Length LengthOf(const RunSpec& spec, const Costs& costs, int64_t step_messages) {
  const int64_t every = TraitsOf(spec).exchange_every;
  // A worker that is late may skip a step, and fall back into step later.
  const bool repeats = TraitsOf(spec).updates == Updates::kTogether &&
                       TraitsOf(spec).backup_workers == 0 && !costs.network.plan.HasJitter() &&
                       !costs.delay;
  Length wanted = repeats ? kFewSteps : kManySteps;
  if (every > 1) {
    // Whole periods count, of which each begins right after an exchange.
    const int64_t periods = CeilDiv(wanted.steps, every) + 1;
    wanted = {std::max<int64_t>(3, periods) * every, every};
  }
  const int64_t affordable = every * kMessagesMax / std::max<int64_t>(1, step_messages);
  if (affordable >= wanted.steps) return wanted;
  if (every > 1) return {std::max<int64_t>(2, affordable / every) * every, every};
  const int64_t steps = std::max(affordable, kFewestSteps.steps);
  return {steps, std::max(steps * wanted.settle / wanted.steps, kFewestSteps.settle)};
}

// A step's exchange by itself.
struct Alone {
  double seconds = 0;
  int64_t messages = 0;  // at most one step's more than those of one step
};

absl::StatusOr<Alone> PlayAlone(const RunSpec& spec, ClusterPlan plan, Costs idle) {
  plan.all_reduce.scheme.exchange_every = 1;
  for (double& ready : idle.compute.bucket_ready) ready = 0;
  idle.compute.load = idle.compute.compute = idle.compute.update = 0;
  idle.delay = nullptr;
  RM_ASSIGN_OR_RETURN(const auto cluster, SimulatedCluster::Create(spec, plan, idle, /*drift=*/0));
  // Of which each exchange has so many.
  const int32_t steps = std::max(1, TraitsOf(spec).local_steps);
  for (int32_t rank = 0; rank < cluster->workers(); ++rank)
    cluster->thread(rank).Run(kStepsAlone * steps, [] {});
  int32_t over = 0;  // ranks whose first exchange is over
  RM_RETURN_IF_ERROR(cluster->Run([&] {
    while (over < cluster->workers() && cluster->thread(over).first_exchange() > 0) ++over;
    return over == cluster->workers();
  }));
  Alone alone;
  for (int32_t rank = 0; rank < cluster->workers(); ++rank) {
    alone.seconds = std::max(alone.seconds, cluster->thread(rank).first_exchange());
  }
  alone.seconds /= steps;
  alone.messages = cluster->network().messages() / steps;
  return alone;
}

// Plays `length.steps` steps of every worker, or where work is claimed as many lots in all. Workers
// begin `apart` seconds after each other.
absl::Status Play(Work work, const Length& length, double apart, SimulatedCluster& cluster) {
  const int32_t workers = cluster.workers();
  ClaimDealer dealer({0, length.steps * workers, workers});
  for (int32_t rank = 0; rank < workers; ++rank) {
    cluster.queue().After(rank * apart, [&, rank] {
      SimulatedStepThread& thread = cluster.thread(rank);
      if (work == Work::kClaimed) return thread.RunClaimed(&dealer, [] {});
      thread.Run(length.steps, [] {});
    });
  }
  return cluster.Run([] { return false; });
}

// The median of the steps that count, and the means of their parts in `result`. Where work is
// claimed, the median of the middle worker: fast ones make more steps than slow ones.
double AddSteps(Work work, const Length& length, SimulatedCluster& cluster, SimulatedStep* result) {
  std::vector<double> steps, medians;
  int64_t all = 0;
  for (int32_t rank = 0; rank < cluster.workers(); ++rank) {
    const std::vector<SimulatedStepThread::Step>& played = cluster.thread(rank).steps();
    const auto count = static_cast<int64_t>(played.size());
    all += count;
    std::vector<double> own;
    for (int64_t step = std::min(length.settle, count - 1); step < count; ++step) {
      own.push_back(played[step].whole);
      result->exposed += played[step].exposed;
      result->compute += played[step].computed;
    }
    steps.insert(steps.end(), own.begin(), own.end());
    medians.push_back(Median(std::move(own)));
  }
  RM_CHECK(all == length.steps * cluster.workers());  // else the run stands still
  result->exposed /= static_cast<double>(steps.size());
  result->compute /= static_cast<double>(steps.size());
  if (work == Work::kDealt) return Median(std::move(steps));
  std::sort(medians.begin(), medians.end());
  return medians[(medians.size() - 1) / 2];
}

// What a step takes at least where all of its work shares the cores, busy all the time; `own`: what
// each worker computes with all others beside it. A worker that is slowed sleeps.
double CrowdedStep(const CoreCosts& cores, int32_t workers, double own, double exchange) {
  if (cores.cores <= 0) return 0;
  const double busy = cores.computes ? std::min(workers, cores.cores) * own : 0;
  return (busy + exchange) / cores.cores;
}

// The batches of N workers, one after the other in one.
double SingleStep(int32_t workers, const ComputeCosts& compute) {
  return workers * (compute.load + compute.compute) + compute.update;
}

}  // namespace

absl::Status CheckPredictable(const RunSpec& spec) {
  const SchemeTraits traits = TraitsOf(spec);
  const absl::string_view engine = traits.engine;
  if (traits.exchanges && engine.empty() && traits.collective.empty() &&
      !traits.gossip.has_value() && traits.weights == WeightHolder::kWorkers) {
    return absl::UnimplementedError(
        "strategy: no simulation knows its messages; leave that arm out");
  }
  if (engine.empty()) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("strategy.all_reduce.collective = \"", engine,
                   "\": the messages of another library are its own, so its time cannot be "
                   "predicted; leave that arm out"));
}

absl::StatusOr<SimulatedStep> SimulateStep(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                           Costs costs) {
  RM_RETURN_IF_ERROR(CheckPredictable(spec));
  const SchemeTraits traits = TraitsOf(spec);
  const bool drifts = traits.updates == Updates::kOnArrival;
  RM_CHECK(costs.compute.bucket_ready.size() == buckets.size());
  RM_CHECK(costs.network.plan.processes() == traits.processes);
  SimulatedStep result;
  if (!traits.exchanges && traits.workers == 1) {
    result.step = result.compute = SingleStep(spec.training().workers(), costs.compute);
    return result;
  }
  RM_ASSIGN_OR_RETURN(ClusterPlan plan, PlanCluster(spec, buckets, costs));
  // What comes after the first steps is predicted.
  plan.all_reduce.scheme.synchronous_steps = 0;
  Alone alone;
  if (traits.exchanges) {
    RM_ASSIGN_OR_RETURN(alone, PlayAlone(spec, plan, costs));
    result.communication = alone.seconds;
  }
  RM_ASSIGN_OR_RETURN(const auto cluster,
                      SimulatedCluster::Create(spec, plan, costs, drifts ? kDrift : 0));
  const Length length = LengthOf(spec, costs, alone.messages);
  const int32_t workers = cluster->workers();
  RM_RETURN_IF_ERROR(Play(traits.work, length, drifts ? alone.seconds / workers : 0, *cluster));
  const double median = AddSteps(traits.work, length, *cluster, &result);
  const SimulatedNetwork& network = cluster->network();
  const double messages = (static_cast<double>(network.messages()) * costs.cores.message +
                           network.bytes() * costs.cores.byte) /
                          static_cast<double>(length.steps);
  const double own = costs.compute.load + costs.compute.compute +
                     cluster->exchange(0).update_share() * costs.compute.update;
  result.step = std::max(median, CrowdedStep(costs.cores, workers, own, messages + plan.work));
  return result;
}

}  // namespace ringmaster
