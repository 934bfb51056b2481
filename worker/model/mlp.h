#ifndef RINGMASTER_WORKER_MODEL_MLP_H_
#define RINGMASTER_WORKER_MODEL_MLP_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/model/model.h"

namespace ringmaster {

struct MlpOptions {
  absl::Span<const int32_t> hidden;  // sizes
  float dropout = 0;                 // of the hidden layers' outputs, while training
};

// Fully connected layers fc1, fc2, ... of the `hidden` sizes with relu, and a last one to the
// classes, over each sample's features in a row. No hidden layer: softmax regression.
// InvalidArgument: a size below one, or as Sequential says.
absl::StatusOr<std::unique_ptr<Model>> CreateMlp(const MlpOptions& mlp, const ModelOptions& options,
                                                 KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_MLP_H_
