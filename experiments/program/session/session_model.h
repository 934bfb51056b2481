#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_SESSION_MODEL_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_SESSION_MODEL_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "common/params/param_layout.h"
#include "experiments/program/session/handover.h"
#include "proto/run_spec.pb.h"
#include "worker/model/model.h"

namespace ringmaster {

// The model of a worker whose program computes it: whatever the loop wants is asked of the program.
//   step: the worker's step under way.
// `spec` is resolved. All outlives the model.
std::unique_ptr<Model> CreateSessionModel(const RunSpec& spec, const ParamLayout& layout,
                                          const std::atomic<int64_t>* step, Handover* handover);

// How many batches a worker of the resolved spec computes in one step.
int32_t MicroBatches(const RunSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_SESSION_MODEL_H_
