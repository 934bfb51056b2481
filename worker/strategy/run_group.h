#ifndef RINGMASTER_WORKER_STRATEGY_RUN_GROUP_H_
#define RINGMASTER_WORKER_STRATEGY_RUN_GROUP_H_

#include <cstdint>

#include "common/collective/group.h"
#include "common/scheme/group_order.h"

namespace ringmaster {

class RunSpec;

// The first `workers` workers of a run, all that train, on channel 0, in the order that the spec's
// strategy.group_order says: what the group calls a rank is the worker's place in that order.
// `spec` is resolved, and valid for so many workers.
inline Group RunGroup(const RunSpec& spec, int32_t workers) {
  Group group;
  for (const int32_t rank : RanksByPlace(spec, workers))
    group.nodes.push_back({Role::kWorker, rank});
  return group;
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_RUN_GROUP_H_
