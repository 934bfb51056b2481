#ifndef RINGMASTER_WORKER_LOOP_INITIAL_WEIGHTS_H_
#define RINGMASTER_WORKER_LOOP_INITIAL_WEIGHTS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "proto/run_spec.pb.h"
#include "worker/model/model.h"

namespace ringmaster {

// The weights that a run of the resolved `spec` starts from: those of training.init_weights, else
// made from the seed. Every process of a run asks; joining compares what they got. InvalidArgument:
// a file that is unsound or of another model.
absl::StatusOr<std::vector<float>> InitialWeights(const RunSpec& spec, const Model& model);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_INITIAL_WEIGHTS_H_
