#include "worker/strategy/registry.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "worker/strategy/all_reduce/all_reduce_strategy.h"
#include "worker/strategy/ps/parameter_server_strategy.h"
#include "worker/strategy/solo/solo_strategy.h"

namespace ringmaster {

absl::Status CheckCodecKeepsStatistics(const ParamLayout& layout, const CodecSpec& codec) {
  if (layout.statistics().empty()) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const auto made, CreateCodec(codec));
  if (made->traits().exact) return absl::OkStatus();
  const auto named = std::find_if(layout.params().begin(), layout.params().end(),
                                  [](const Param& param) { return param.statistic; });
  return absl::InvalidArgumentError(absl::StrCat(
      "codec.name = \"", codec.name(), "\": it is lossy, and the model keeps running statistics (", named->name,
      "), which travel with the gradients and which nothing that comes later makes good; use codec \"none\", or a model "
      "without them (model.resnet.norm=group)"));
}

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateStrategy(const WorkerLink& link) {
  RM_RETURN_IF_ERROR(CheckCodecKeepsStatistics(*link.layout, link.spec->codec()));
  switch (link.spec->strategy().kind_case()) {
    case StrategySpec::kSingle:
    case StrategySpec::kSolo:
      return CreateSoloStrategy(link);
    case StrategySpec::kParameterServer:
      return CreateParameterServerStrategy(link);
    case StrategySpec::kAllReduce:
      return CreateAllReduceStrategy(link);
    case StrategySpec::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "strategy: none is set; name one of single, solo, parameter_server, all_reduce (see `ringmaster list`)");
}

absl::Span<const StrategyInfo> Strategies() {
  static constexpr StrategyInfo kStrategies[] = {
      {"single", "one worker computes all N micro-batches: the reference trajectory, and the base of speed-up"},
      {"solo", "N workers that exchange nothing: the ceiling of efficiency, no accuracy"},
      {"parameter_server", "K servers hold the weights; BSP, SSP(s) or asynchronous; dedicated or co-located"},
      {"all_reduce", "every worker holds the weights; gradients are summed by a collective during backward"},
  };
  return kStrategies;
}

}  // namespace ringmaster
