#ifndef RINGMASTER_WORKER_STRATEGY_SOLO_SOLO_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_SOLO_SOLO_STRATEGY_H_

#include <memory>

#include "worker/strategy/strategy.h"

namespace ringmaster {

// Exchanges nothing: the worker applies its own gradient. Serves `single` (the loop has already
// added the micro-batches) and `solo` (each worker alone).
std::unique_ptr<SyncStrategy> CreateSoloStrategy(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_SOLO_SOLO_STRATEGY_H_
