#ifndef RINGMASTER_WORKER_MODEL_MLP_H_
#define RINGMASTER_WORKER_MODEL_MLP_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/model/model.h"

namespace ringmaster {

// Fully connected layers fc1, fc2, ... of the `hidden` sizes with relu, and a last one to the classes, over each
// sample's features in a row. No hidden layer: softmax regression. InvalidArgument: a size below one, or as
// Sequential says.
absl::StatusOr<std::unique_ptr<Model>> CreateMlp(absl::Span<const int32_t> hidden, const ModelOptions& options,
                                                 KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_MLP_H_
