#include "common/config/describe.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace ringmaster {

absl::string_view StrategyName(const StrategySpec& strategy) {
  switch (strategy.kind_case()) {
    case StrategySpec::kSingle: return "single";
    case StrategySpec::kSolo: return "solo";
    case StrategySpec::kParameterServer: return "parameter_server";
    case StrategySpec::kAllReduce: return "all_reduce";
    case StrategySpec::KIND_NOT_SET: break;
  }
  return "";
}

int64_t GlobalBatch(const RunSpec& resolved) { return GlobalBatch(resolved.training()); }

int64_t GlobalBatch(const TrainingSpec& training) {
  // Records of runs from before there was accumulation lack it.
  const int64_t accumulate = training.has_accumulate() ? training.accumulate() : 1;
  return accumulate * training.workers() * training.batch_per_worker();
}

int32_t ServerCount(const RunSpec& resolved) {
  return resolved.strategy().has_parameter_server() ? resolved.strategy().parameter_server().servers() : 0;
}

int32_t ProcessCount(const RunSpec& resolved) {
  const StrategySpec& strategy = resolved.strategy();
  if (strategy.launch() == THREADS || strategy.has_single()) return 1;
  const bool dedicated =
      strategy.has_parameter_server() && strategy.parameter_server().placement() == ParameterServerSpec::DEDICATED;
  return resolved.training().workers() + (dedicated ? ServerCount(resolved) : 0);
}

bool UpdatesOnArrival(const StrategySpec& strategy) {
  return strategy.has_parameter_server() &&
         (strategy.parameter_server().consistency() == ParameterServerSpec::SSP ||
          strategy.parameter_server().consistency() == ParameterServerSpec::ASYNCHRONOUS);
}

std::optional<NodeAddress> ReadNodeName(absl::string_view text) {
  NodeAddress node;
  node.is_server = absl::ConsumePrefix(&text, "server/");
  if (!node.is_server && !absl::ConsumePrefix(&text, "worker/")) return std::nullopt;
  if (!absl::SimpleAtoi(text, &node.index) || absl::StrCat(node.index) != text || node.index < 0) return std::nullopt;
  return node;
}

bool HasDropout(absl::string_view model_name) {
  return model_name == "mlp" || model_name == "cnn" || model_name == "transformer";
}

}  // namespace ringmaster
