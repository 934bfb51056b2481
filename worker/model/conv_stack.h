#ifndef RINGMASTER_WORKER_MODEL_CONV_STACK_H_
#define RINGMASTER_WORKER_MODEL_CONV_STACK_H_

#include <string>

#include "absl/status/status.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"
#include "worker/model/model.h"

namespace ringmaster {

// What `lenet` and `cnn` are made of below their linear layers: convolutions of one window, each
// with 2x2 pooling and relu, on CNHW images, and the change to one row a sample behind them.
class ConvStack {
 public:
  // Over samples of `options.shape`, with square windows of `kernel` and `padding` zeros around
  // each image. The layers are appended to `layers`; it and `kernels` outlive the stack.
  ConvStack(const ModelOptions& options, int64_t kernel, int64_t padding, KernelLibrary& kernels,
            LayerList* layers);

  // Appends convolution, pooling, bias and relu: parameters name.weight and name.bias. The
  // convolution's output has even sides. Errors: no memory.
  absl::Status Add(const std::string& name, int64_t out_channels);

  // Appends the change of order. Returns the floats of each sample's row.
  int64_t Flatten();

 private:
  KernelLibrary& kernels_;
  LayerList& layers_;
  ConvShape next_;  // input of the next convolution
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_CONV_STACK_H_
