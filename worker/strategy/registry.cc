#include "worker/strategy/registry.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/all_reduce/all_reduce_strategy.h"
#include "worker/strategy/elastic/elastic_rule.h"
#include "worker/strategy/gossip/gossip_rule.h"
#include "worker/strategy/local_sgd/local_sgd_rule.h"
#include "worker/strategy/ps/parameter_server_strategy.h"
#include "worker/strategy/sharded_optimizer/sharded_optimizer_strategy.h"
#include "worker/strategy/solo/solo_strategy.h"
#include "worker/strategy/weight_strategy.h"

namespace ringmaster {
namespace {

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateSolo(const WorkerLink& link) {
  return CreateSoloStrategy(link);
}

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateByRule(const WorkerLink& link) {
  RM_ASSIGN_OR_RETURN(
      auto rule, CreateWeightRule({link.spec, link.layout, link.rank, link.replica->OnHost()}));
  return CreateWeightStrategy(link, std::move(rule));
}

// The center is at every worker, or on servers.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateElastic(const WorkerLink& link) {
  return TraitsOf(*link.spec).weights == WeightHolder::kServers
             ? CreateParameterServerStrategy(link)
             : CreateByRule(link);
}

struct Entry {
  const char* scheme;  // its name in common/scheme's registry
  absl::StatusOr<std::unique_ptr<SyncStrategy>> (*create)(const WorkerLink& link);
  // Of workers that exchange weights with each other; null: they do not.
  absl::StatusOr<std::unique_ptr<WeightRule>> (*create_rule)(const WeightRuleSeat& seat) = nullptr;
};

constexpr Entry kEntries[] = {
    {"single", CreateSolo},
    {"solo", CreateSolo},
    {"parameter_server", CreateParameterServerStrategy},
    {"all_reduce", CreateAllReduceStrategy},
    {"sharded_optimizer", CreateShardedOptimizerStrategy},
    {"delayed", CreateAllReduceStrategy},
    {"local_sgd", CreateByRule, CreateLocalSgdRule},
    {"elastic", CreateElastic, CreateElasticRule},
    {"gossip", CreateByRule, CreateGossipRule},
};

// Null where the spec names no scheme.
const Entry* EntryOf(const RunSpec& spec) {
  const Scheme* const scheme = FindScheme(spec.strategy());
  for (const Entry& entry : kEntries) {
    if (scheme != nullptr && entry.scheme == absl::string_view(scheme->name)) return &entry;
  }
  return nullptr;
}

}  // namespace

absl::Status CheckCodecKeepsStatistics(const ParamLayout& layout, const CodecSpec& codec) {
  if (layout.statistics().empty()) return absl::OkStatus();
  const std::optional<CodecTraits> traits = CodecTraitsOf(codec);
  if (!traits.has_value()) return CreateCodec(codec).status();
  if (traits->exact) return absl::OkStatus();
  const auto named = std::find_if(layout.params().begin(), layout.params().end(),
                                  [](const Param& param) { return param.statistic; });
  return absl::InvalidArgumentError(
      absl::StrCat("codec.name = \"", codec.name(),
                   "\": it is lossy, and the model keeps running statistics (", named->name,
                   "), which travel with the gradients and which nothing that comes later makes "
                   "good; use codec \"none\", or a model without them (model.resnet.norm=group)"));
}

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateStrategy(const WorkerLink& link) {
  RM_RETURN_IF_ERROR(CheckCodecKeepsStatistics(*link.layout, link.spec->codec()));
  const Entry* const entry = EntryOf(*link.spec);
  if (entry != nullptr) return entry->create(link);
  return absl::InvalidArgumentError(absl::StrCat("strategy: none is set; name one of ",
                                                 SchemeNames(), " (see `ringmaster list`)"));
}

absl::StatusOr<std::unique_ptr<WeightRule>> CreateWeightRule(const WeightRuleSeat& seat) {
  const Entry* const entry = EntryOf(*seat.spec);
  RM_CHECK(entry != nullptr && entry->create_rule != nullptr);
  return entry->create_rule(seat);
}

}  // namespace ringmaster
