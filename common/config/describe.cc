#include "common/config/describe.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

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
