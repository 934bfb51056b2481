#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ACTIVITY_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ACTIVITY_H_

#include <cstdint>

#include "common/transport/transport.h"
#include "proto/control.pb.h"
#include "worker/loop/conductor.h"

namespace ringmaster {

// What can be seen of a worker while it trains.
struct WorkerSight {
  int32_t rank = 0;
  const WorkerProgress* progress = nullptr;
  Activity exchange;         // of its transport
  int32_t engine_ranks = 0;  // of a collective library, whose waits no transport sees: all wait for
                             // each other. 0: none
};

// What a heartbeat says of a worker. It waits when its step thread is in a phase that computes
// nothing and some thread of it waits for a message: gate, exchange, drain. Any thread.
NodeActivity DescribeWorker(const WorkerSight& sight);

// The same of a server: it computes unless it waits for messages. Of each kind of message of a
// worker the least step is told. Any thread.
NodeActivity DescribeServer(int32_t index, bool done, const Activity& exchange);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ACTIVITY_H_
