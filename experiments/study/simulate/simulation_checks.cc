// What can be played in simulated time, and whether there is the memory for it.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/study/predict/compute_profile.h"
#include "experiments/study/predict/simulate.h"
#include "experiments/study/simulate/simulated_run.h"
#include "proto/compute_times.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// Whether one worker may stand for all.
absl::Status CheckMerges(const RunSpec& spec, const SimulationOptions& options) {
  const SchemeTraits traits = TraitsOf(spec);
  const NetworkSpec& network = spec.transport().network();
  const auto refuse = [](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--merge: ", why, ", so one worker cannot stand for all; leave it out to play every one"));
  };
  if (options.learns) return refuse("with --learn each worker has batches of its own");
  if (options.compute.sigma > 0) return refuse("--compute draws a time for each worker");
  if (!spec.training().slowdowns().empty()) return refuse("some workers are slowed down");
  if (network.nodes_size() > 0) return refuse("nodes of the network differ");
  if (network.links_size() > 0) return refuse("links of the network differ");
  if (network.has_racks()) return refuse("not all workers are in one rack");
  if (network.jitter_ms() > 0) return refuse("jitter is drawn for each message");
  if (traits.work == Work::kClaimed) return refuse("work is claimed by who is free");
  if (traits.collective.empty() && !traits.gossip.has_value()) {
    return refuse(absl::StrCat("in strategy \"", StrategyName(spec.strategy()),
                               "\" not every node is a worker that exchanges with others like it"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSimulatable(const RunSpec& spec, const SimulationOptions& options) {
  RM_RETURN_IF_ERROR(CheckPredictable(spec));
  if (spec.has_evaluation()) {
    return absl::InvalidArgumentError(
        "evaluation: a run that only evaluates takes no simulated time; leave it out");
  }
  if (!spec.transport().has_network()) {
    return absl::InvalidArgumentError(
        "no network: say what connects the machines, for example --network 1gbit,50us");
  }
  if (options.merges) RM_RETURN_IF_ERROR(CheckMerges(spec, options));
  if (options.times != nullptr)
    RM_RETURN_IF_ERROR(Annotate(CheckTimes(*options.times, spec), options.compute.source));
  if (options.learns) return absl::OkStatus();
  if (options.stop_at_accuracy.has_value())
    return absl::InvalidArgumentError("--stop-at-accuracy: nothing is learned without --learn");
  if (CodecTraitsOf(spec.codec())->fixed_size) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("codec \"", spec.codec().name(),
                   "\": how long its encodings are depends on the gradients; add --learn"));
}

absl::Status CheckSimulationMemory(const RunSpec& spec, const SimulationOptions& options,
                                   std::optional<int64_t> free_bytes) {
  if (!options.learns || !free_bytes.has_value()) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const MemoryFacts facts, MemoryFactsOf(spec));
  const MemoryPlan plan = PlanMemory(spec, facts);
  const SchemeTraits traits = TraitsOf(spec);
  // What all processes would hold; but samples and initial weights lie here once, and marks are
  // scored at once.
  const int64_t initial = facts.parameters * static_cast<int64_t>(sizeof(float));
  const int64_t readers = std::min(traits.workers, traits.processes);
  const int64_t need = plan.weights - (traits.processes - 1) * initial + plan.gradients +
                       plan.optimizer + plan.codec + (plan.train_set + plan.test_set) / readers;
  if (need <= *free_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "learning with %d workers of %d parameters takes about %.1f GB, and %.1f GB of memory are "
      "free; use fewer workers or a smaller model, or leave out --learn",
      traits.workers, facts.parameters, 1e-9 * static_cast<double>(need),
      1e-9 * static_cast<double>(*free_bytes)));
}

}  // namespace ringmaster
