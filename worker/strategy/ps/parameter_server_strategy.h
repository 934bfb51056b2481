#ifndef RINGMASTER_WORKER_STRATEGY_PS_PARAMETER_SERVER_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_PS_PARAMETER_SERVER_STRATEGY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Servers hold the weights. Each bucket's parts are pushed to their servers during backward
// (encoded, where there is a codec). Under BSP the servers send a bucket's new weights as soon as
// it is updated, while later buckets are still being computed; otherwise weights are pulled at the
// end of a step, so that they hold what others have pushed until then. Under BSP and SSP the next
// step waits for them; asynchronously it takes what has arrived and never waits. How long a pull
// may be parked is the server's business alone.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateParameterServerStrategy(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_PS_PARAMETER_SERVER_STRATEGY_H_
