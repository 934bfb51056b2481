#ifndef RINGMASTER_WORKER_LOOP_NOT_FINITE_H_
#define RINGMASTER_WORKER_LOOP_NOT_FINITE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/model.h"

namespace ringmaster {

class OptimizerSpec;

// "bucket=3 (fc1.weight[17])": bucket and tensor of an element of the arena.
std::string PlaceInArena(const ParamLayout& layout, int64_t element);

// OK when all of the arena is finite, else OutOfRange: "weight nan in bucket=3 (fc1.weight[17])".
// `what`: "weight".
absl::Status CheckFinite(const char* what, const ParamLayout& layout,
                         absl::Span<const float> arena);

// The batch whose loss is not finite, and the weights it was computed with.
struct LostBatch {
  double loss = 0;
  BatchView batch;
  TensorView weights;                    // in the kernels' place
  absl::Span<const float> host_weights;  // the same on the host
};

// Where a loss comes from that is not finite: names the first weight that is not, or else computes
// the batch again, into memory of its own, and names the first gradient that is not. Always an
// error, OutOfRange but for a failed kernel. Nobody else's buffers are touched, so an exchange may
// still be under way.
absl::Status ExplainLostBatch(const LostBatch& lost, Model& model, KernelLibrary& kernels);

// `status` of numbers that are not finite, with what to do about it; another one as it is.
absl::Status WithRateAdvice(const absl::Status& status, const OptimizerSpec& optimizer);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_NOT_FINITE_H_
