#ifndef RINGMASTER_WORKER_STRATEGY_REGISTRY_H_
#define RINGMASTER_WORKER_STRATEGY_REGISTRY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// The strategy that `link.spec` names. InvalidArgument for none.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateStrategy(const WorkerLink& link);

struct StrategyInfo {
  const char* name;     // of the field of StrategySpec
  const char* summary;
};
absl::Span<const StrategyInfo> Strategies();

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_REGISTRY_H_
