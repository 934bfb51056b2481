#ifndef RINGMASTER_WORKER_STRATEGY_PS_PARAMETER_SERVER_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_PS_PARAMETER_SERVER_STRATEGY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Servers hold the weights. Each bucket's parts are pushed to their servers during backward (encoded, where there is a
// codec); at the end of a step weights are pulled. Under BSP and SSP the next step waits for them; asynchronously it
// takes what has come and never waits. How long a pull may be parked is the server's business alone.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateParameterServerStrategy(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_PS_PARAMETER_SERVER_STRATEGY_H_
