#include "common/config/describe.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/partition.h"
#include "common/config/is_program.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// The updates of a run, each of the same number of samples.
struct UpdatesMade {
  int64_t count = 0;
  int64_t samples = 0;  // of one
  // What marks count of one: itself, or the steps that it is made of.
  int64_t progress = 1;
  // Of all: fewer than so many times one where the last ones are of fewer steps.
  int64_t all_samples = 0;
  int64_t all_progress = 0;
};

UpdatesMade UpdatesOf(const RunSpec& resolved) {
  const TrainingSpec& training = resolved.training();
  const SchemeTraits traits = TraitsOf(resolved);
  const int64_t lot = ExactDiv(GlobalBatch(resolved), training.workers());
  if (traits.updates == Updates::kTogether) {
    const int64_t samples = lot * (training.workers() - traits.backup_workers);
    return {training.steps(), samples, 1, training.steps() * samples, training.steps()};
  }
  const int64_t lots = training.steps() * training.workers();
  const int64_t steps = std::max(1, traits.local_steps);
  return {CeilDiv(lots, steps), lot * steps, steps, lots * lot, lots};
}

// Samples from one mark to the next: there is no more than one mark to an update.
int64_t SpacingOf(const RunSpec& resolved, const UpdatesMade& updates) {
  return std::max(resolved.training().evaluate_every_samples(), updates.samples);
}

}  // namespace

absl::string_view StrategyName(const StrategySpec& strategy) {
  const Scheme* scheme = FindScheme(strategy);
  return scheme == nullptr ? "" : scheme->name;
}

int64_t GlobalBatch(const RunSpec& resolved) { return GlobalBatch(resolved.training()); }

int64_t GlobalBatch(const TrainingSpec& training) {
  // Records of runs from before there was accumulation lack it.
  const int64_t accumulate = training.has_accumulate() ? training.accumulate() : 1;
  return accumulate * training.workers() * training.batch_per_worker();
}

int64_t ClaimedLots(const RunSpec& resolved) {
  if (TraitsOf(resolved).work == Work::kDealt) return 0;
  return resolved.training().steps() * resolved.training().workers();
}

bool GoesOn(const RunSpec& resolved) {
  return resolved.strategy().on_failure() == StrategySpec::CONTINUE;
}

bool StartsAgain(const RunSpec& resolved) {
  return resolved.strategy().on_failure() == StrategySpec::RESTART;
}

bool PushesSayLots(const RunSpec& resolved) {
  const SchemeTraits traits = TraitsOf(resolved);
  return GoesOn(resolved) && traits.work == Work::kClaimed && traits.servers > 0 &&
         traits.local_steps == 0;
}

bool IsScored(const RunSpec& resolved) {
  const bool has_scores = !IsProgram(resolved) || resolved.data().program().test_samples() > 0;
  return TraitsOf(resolved).replicas != Replicas::kIndependent &&
         !resolved.training().has_emulated_compute() && has_scores;
}

int64_t WorkerStepsMax(const RunSpec& resolved) {
  return std::max(resolved.training().steps(), ClaimedLots(resolved));
}

absl::Duration WaitLimit(const RunSpec& resolved) {
  return absl::Seconds(resolved.limits().wait_seconds());
}

int64_t MarkCopies(const RunSpec& resolved) {
  if (!IsScored(resolved) || resolved.training().evaluate_every_samples() == 0) return 0;
  const UpdatesMade updates = UpdatesOf(resolved);
  return (updates.count - 1) * updates.samples / SpacingOf(resolved, updates);
}

int32_t MarkHolders(const RunSpec& resolved) {
  const SchemeTraits traits = TraitsOf(resolved);
  const bool each = traits.marks_are_averages ||
                    (MayReform(resolved) && traits.weights == WeightHolder::kWorkers);
  return each ? traits.workers : 1;
}

std::vector<SampleMark> SampleMarks(const RunSpec& resolved) {
  std::vector<SampleMark> marks;
  if (!IsScored(resolved)) return marks;
  const UpdatesMade updates = UpdatesOf(resolved);
  const int64_t spacing = SpacingOf(resolved, updates);
  const int64_t copies = MarkCopies(resolved);
  marks.reserve(copies + 1);
  for (int64_t mark = 1; mark <= copies; ++mark) {
    const int64_t update = CeilDiv(mark * spacing, updates.samples);
    marks.push_back({update * updates.progress, update * updates.samples});
  }
  marks.push_back({updates.all_progress, updates.all_samples});
  return marks;
}

absl::Status CheckMarkCopies(const RunSpec& resolved, int64_t parameters) {
  const int64_t copies = MarkCopies(resolved);
  const int64_t limit = resolved.limits().has_mark_copies_bytes()
                            ? resolved.limits().mark_copies_bytes()
                            : kMarkCopiesBytesDefault;
  const int64_t bytes = parameters * static_cast<int64_t>(sizeof(float)) * MarkHolders(resolved);
  const int64_t fit = limit / std::max<int64_t>(1, bytes);
  if (copies <= fit) return absl::OkStatus();
  const UpdatesMade updates = UpdatesOf(resolved);
  const int64_t every = fit == 0 ? 0 : (updates.count - 1) * updates.samples / (fit + 1) + 1;
  return absl::ResourceExhaustedError(
      absl::StrCat("evaluations: the run keeps a copy of ", bytes, " bytes at ", copies,
                   " marks, and limits.mark_copies_bytes = ", limit, " has room for ", fit,
                   "; use --evaluate-every ", every, fit == 0 ? " (only at the end)" : " or more",
                   ", or --set limits.mark_copies_bytes=", copies * bytes));
}

bool MayReform(const RunSpec& resolved) {
  return resolved.strategy().on_failure() == StrategySpec::REFORM;
}

absl::StatusOr<RunSpec> ReformedSpec(const RunSpec& resolved, absl::Span<const int32_t> left) {
  const int64_t samples = GlobalBatch(resolved);
  const auto workers = static_cast<int64_t>(left.size());
  if (workers == 0 || samples % workers != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "training.batch_per_worker = ", resolved.training().batch_per_worker(),
        ": the global batch of ", samples, " samples cannot be shared evenly by the ", workers,
        " workers that are left when one is lost; expected a multiple of ",
        std::max<int64_t>(1, workers), " in all (workers * batch_per_worker * accumulate)"));
  }
  RunSpec spec = resolved;
  TrainingSpec* const training = spec.mutable_training();
  const int64_t share = samples / workers;
  int64_t accumulate = training->accumulate();
  while (share % accumulate != 0) ++accumulate;
  training->set_workers(static_cast<int32_t>(workers));
  training->set_accumulate(static_cast<int32_t>(accumulate));
  training->set_batch_per_worker(static_cast<int32_t>(share / accumulate));
  if (training->has_emulated_compute()) {
    // It is of one batch, and larger ones take longer.
    EmulatedComputeSpec* const emulated = training->mutable_emulated_compute();
    emulated->set_milliseconds(emulated->milliseconds() * training->batch_per_worker() /
                               resolved.training().batch_per_worker());
  }
  spec.mutable_strategy()->set_group_order(
      OrderOfThoseLeft(resolved.strategy().group_order(), left));
  training->clear_slowdowns();
  for (const SlowdownSpec& slow : resolved.training().slowdowns()) {
    SlowdownSpec kept = slow;
    kept.clear_ranks();
    for (const int32_t rank : slow.ranks()) {
      const auto found = std::find(left.begin(), left.end(), rank);
      if (found != left.end()) kept.add_ranks(static_cast<int32_t>(found - left.begin()));
    }
    if (kept.ranks_size() > 0) *training->add_slowdowns() = kept;
  }
  return spec;
}

absl::StatusOr<RunSpec> WithoutOneWorker(const RunSpec& resolved) {
  const SchemeTraits traits = TraitsOf(resolved);
  const auto refuse = [](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("strategy.on_failure = REFORM: ", why));
  };
  if (!traits.may_reform) {
    return refuse(absl::StrCat(
        "strategy \"", StrategyName(resolved.strategy()),
        "\", set as it is, has state that is lost with a process; use all_reduce with a collective "
        "of ours, or a parameter_server with BSP and a server apart, or RESTART, with "
        "training.checkpoint_every_steps"));
  }
  if (traits.processes < 2)
    return refuse("all workers live in one process, or there is one; use PROCESSES and 2 or more");
  if (resolved.has_evaluation()) return refuse("an evaluation trains nothing; leave it out");
  const OutputSpec& output = resolved.output();
  if (!output.dump_batches().empty() || !output.dump_gradients().empty()) {
    return refuse(
        "what output.dump_batches and output.dump_gradients write would be lost with a "
        "process; leave them out");
  }
  const NetworkSpec& network = resolved.transport().network();
  if (network.nodes_size() > 0 || network.links_size() > 0 || network.has_racks()) {
    return refuse(
        "transport.network names nodes, links or racks, and those left are numbered "
        "anew; use a network that is the same for all");
  }
  std::vector<int32_t> left(resolved.training().workers() - 1);
  std::iota(left.begin(), left.end(), 0);
  absl::StatusOr<RunSpec> spec = ReformedSpec(resolved, left);
  if (!spec.ok()) return refuse(spec.status().message());
  spec->mutable_strategy()->set_on_failure(StrategySpec::ABORT);
  return spec;
}

std::optional<NodeAddress> ReadNodeName(absl::string_view text) {
  NodeAddress node;
  node.is_server = absl::ConsumePrefix(&text, "server/");
  if (!node.is_server && !absl::ConsumePrefix(&text, "worker/")) return std::nullopt;
  if (!absl::SimpleAtoi(text, &node.index) || absl::StrCat(node.index) != text || node.index < 0)
    return std::nullopt;
  return node;
}

bool HasDropout(absl::string_view model_name) {
  return model_name == "mlp" || model_name == "cnn" || model_name == "transformer";
}

}  // namespace ringmaster
