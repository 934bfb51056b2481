#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PLACEMENT_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PLACEMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/message.h"

namespace ringmaster {

class RunSpec;
struct SchemeTraits;

// Which nodes live in which process, by process index: workers in rank order, a co-located server
// beside the worker of its index, dedicated servers in processes of their own after all workers.
// Threads: everything in one process. `spec` is resolved.
std::vector<std::vector<NodeId>> PlaceNodes(const RunSpec& spec);

// Workers that train: 1 for `single`, else N.
int32_t TrainingWorkers(const RunSpec& spec);

// "worker/1+server/1": the nodes of one process, for error texts.
std::string NamesOf(const std::vector<NodeId>& nodes);

// Has the process of `nodes` bear their names: "ringmaster: worker/1+server/1" on its command line,
// "rm:worker/1+ser" for short. Once, from the main thread.
void NameProcess(const std::vector<NodeId>& nodes);

// Whether two nodes share a place, so that what they exchange is no traffic: a server and the
// worker it lives beside.
bool AreColocated(const RunSpec& spec, NodeId a, NodeId b);
// The same of a spec with these traits, which cost more than the answer.
bool AreColocated(const SchemeTraits& traits, NodeId a, NodeId b);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PLACEMENT_H_
