#ifndef RINGMASTER_WORKER_MODEL_LENET_H_
#define RINGMASTER_WORKER_MODEL_LENET_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/model/model.h"

namespace ringmaster {

// conv1 20@5x5, pool 2, relu, conv2 50@5x5, pool 2, relu, fc1 500, relu, fc2 to the classes: 431
// 080 parameters for 1x28x28 and 10 classes. Caffe's LeNet but for the relu of each convolution,
// which stands behind the pooling, where it gives the same values as before it (see BiasRelu).
// InvalidArgument: images whose sides are not multiples of 4 from 16 up, no channel or no class, or
// as Sequential says.
absl::StatusOr<std::unique_ptr<Model>> CreateLenet(const ModelOptions& options,
                                                   KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LENET_H_
