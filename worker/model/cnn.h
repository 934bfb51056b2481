#ifndef RINGMASTER_WORKER_MODEL_CNN_H_
#define RINGMASTER_WORKER_MODEL_CNN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/model/model.h"

namespace ringmaster {

// conv1 32@5x5, pool 2, relu, conv2 64@5x5, pool 2, relu, fc1 1024, relu, fc2 to the classes, with
// images padded by 2 so that convolutions keep their size: 3 274 634 parameters for 1x28x28 and 10
// classes. The relu of each convolution stands behind the pooling (see BiasRelu). `dropout`: of
// fc1's outputs, while training. InvalidArgument: images whose sides are not multiples of 4, no
// channel or no class, or as Sequential says.
absl::StatusOr<std::unique_ptr<Model>> CreateCnn(float dropout, const ModelOptions& options,
                                                 KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_CNN_H_
