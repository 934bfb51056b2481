#ifndef RINGMASTER_WORKER_STRATEGY_REGISTRY_H_
#define RINGMASTER_WORKER_STRATEGY_REGISTRY_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"
#include "worker/strategy/weight_rule.h"

namespace ringmaster {

class CodecSpec;

// The strategy of the scheme (common/scheme) that `link.spec` names. InvalidArgument for none, and
// for a codec that the layout does not allow.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateStrategy(const WorkerLink& link);

// What a worker of the seat's scheme makes of exchanged weights. REQUIRES: the scheme's workers
// exchange weights with each other (SchemeTraits::exchanged).
absl::StatusOr<std::unique_ptr<WeightRule>> CreateWeightRule(const WeightRuleSeat& seat);

// InvalidArgument where `codec` is lossy and `layout` has running statistics, which no gradient
// that comes later makes good. CreateStrategy asks too; this is for whoever validates a spec before
// anything runs.
absl::Status CheckCodecKeepsStatistics(const ParamLayout& layout, const CodecSpec& codec);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_REGISTRY_H_
