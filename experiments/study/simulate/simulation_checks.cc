// What can be played in simulated time, and whether there is the memory for it.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "experiments/program/run/memory/memory_plan.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/study/predict/compute_profile.h"
#include "experiments/study/predict/encoding_sizes.h"
#include "experiments/study/predict/simulate.h"
#include "experiments/study/predict/simulated_cluster.h"
#include "experiments/study/simulate/equal_replicas.h"
#include "experiments/study/simulate/simulated_run.h"
#include "experiments/study/simulate/size_keeper.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// What EqualReplicas keeps in place of a replica for each worker: the weights, those before, two
// sums.
constexpr int32_t kEqualArenas = 4;

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
  if (options.sizes.has_value()) return refuse("each worker's encodings have sizes of their own");
  if (traits.collective.empty() && !traits.gossip.has_value()) {
    return refuse(absl::StrCat("in strategy \"", StrategyName(spec.strategy()),
                               "\" not every node is a worker that exchanges with others like it"));
  }
  return absl::OkStatus();
}

// Whether how long messages are is known, and is kept where that is asked for.
absl::Status CheckSizes(const RunSpec& spec, const SimulationOptions& options) {
  const CodecSpec* const down = DownCodecOf(spec);
  const bool varies_up = VariesInSize(spec.codec());
  const bool varies = varies_up || (down != nullptr && VariesInSize(*down));
  if (options.keep_sizes && !options.learns) {
    return absl::InvalidArgumentError(
        "--keep-sizes: without --learn nothing is encoded; add it, or leave this out");
  }
  if (options.sizes.has_value() && options.learns) {
    return absl::InvalidArgumentError(
        "--sizes: with --learn encodings have sizes of their own; leave out one of them");
  }
  if (varies && !options.learns && !options.sizes.has_value()) {
    return absl::UnimplementedError(absl::StrCat(
        varies_up ? "codec" : "down_codec", " \"", (varies_up ? spec.codec() : *down).name(),
        "\": how long its encodings are depends on the gradients; add --learn, or --sizes FILE "
        "with what a run of fewer workers has left by --learn --keep-sizes FILE"));
  }
  if (!options.keep_sizes && !(varies && options.sizes.has_value())) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const ParamLayout layout, LayoutOf(spec));
  const EncodedRun run = EncodedRunOf(spec, layout);
  if (options.keep_sizes) return SizeKeeper::Check(run, TraitsOf(spec).workers);
  return CheckKeptSizes(*options.sizes, run);
}

}  // namespace

absl::Status CheckSimulatable(const RunSpec& spec, const SimulationOptions& options) {
  RM_RETURN_IF_ERROR(CheckPredictable(spec));
  if (spec.has_evaluation()) {
    return absl::InvalidArgumentError(
        "evaluation: a run that only evaluates takes no simulated time; leave it out");
  }
  if (spec.training().has_checkpoint_every_steps()) {
    return absl::InvalidArgumentError(
        "training.checkpoint_every_steps: simulated runs do not stand still; leave it out");
  }
  if (!spec.transport().has_network()) {
    return absl::InvalidArgumentError(
        "no network: say what connects the machines, for example --network 1gbit,50us");
  }
  if (options.merges) RM_RETURN_IF_ERROR(CheckMerges(spec, options));
  if (options.times.has_value())
    RM_RETURN_IF_ERROR(Annotate(CheckTimes(*options.times, spec), options.compute.source));
  if (options.stop_at_accuracy.has_value() && !options.learns)
    return absl::InvalidArgumentError("--stop-at-accuracy: nothing is learned without --learn");
  return CheckSizes(spec, options);
}

absl::Status CheckSimulationMemory(const RunSpec& spec, const SimulationOptions& options,
                                   std::optional<int64_t> free_bytes) {
  if (!options.learns || !free_bytes.has_value()) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const MemoryFacts facts, MemoryFactsOf(spec));
  const SchemeTraits traits = TraitsOf(spec);
  // What all processes would hold, and the initial weights; but samples lie here once, and marks
  // are scored at once.
  const int64_t arena = facts.parameters * static_cast<int64_t>(sizeof(float));
  int64_t weights = arena, gradients = 0, optimizer = 0, codec = 0;
  for (const MemoryNeed& process : PlanMemory(spec, facts)) {
    weights += process.weights_bytes();
    gradients += process.gradients_bytes();
    optimizer += process.optimizer_bytes();
    codec += process.codec_bytes();
  }
  if (EqualReplicas::Serve(traits, *CodecTraitsOf(spec.codec()))) {
    weights -= std::max(0, traits.workers - kEqualArenas) * arena;
    optimizer /= traits.workers;
  }
  const int64_t samples = (facts.train_samples + facts.test_samples) * facts.sample_bytes;
  const int64_t need = weights + gradients + optimizer + codec + samples;
  if (need <= *free_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "learning with %d workers of %d parameters takes about %.1f GB, and %.1f GB of memory are "
      "free; use fewer workers or a smaller model, or leave out --learn",
      traits.workers, facts.parameters, 1e-9 * static_cast<double>(need),
      1e-9 * static_cast<double>(*free_bytes)));
}

}  // namespace ringmaster
