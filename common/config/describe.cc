#include "common/config/describe.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/partition.h"
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

bool IsScored(const RunSpec& resolved) {
  return TraitsOf(resolved).replicas != Replicas::kIndependent &&
         !resolved.training().has_emulated_compute();
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
  return traits.marks_are_averages ? traits.workers : 1;
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
