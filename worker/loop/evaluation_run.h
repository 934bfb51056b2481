#ifndef RINGMASTER_WORKER_LOOP_EVALUATION_RUN_H_
#define RINGMASTER_WORKER_LOOP_EVALUATION_RUN_H_

#include "absl/status/status.h"
#include "proto/record.pb.h"
#include "worker/loop/worker_setup.h"

namespace ringmaster {

// A worker's part of a run that trains nothing (RunSpec.evaluation): scores its share of the test
// set, as in-training evaluations cut it, with the initial weights, and reports every sample. No
// strategy, no transport. The worker's step thread. ResourceExhausted: more labels than a report
// carries.
absl::Status RunEvaluation(const WorkerSetup& setup, WorkerReport* report);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_EVALUATION_RUN_H_
