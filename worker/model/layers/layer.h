#ifndef RINGMASTER_WORKER_MODEL_LAYERS_LAYER_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_LAYER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "worker/kernels/calls.h"

namespace ringmaster {

// How a parameter starts.
enum class Init {
  kUniform,  // in +-sqrt(1/fan_in)
  kNormal,   // standard deviation `deviation`
  kZeros,
  kOnes,
};

// A parameter tensor of a layer, named as in PyTorch.
struct LayerParam {
  std::string name;
  std::vector<int64_t> shape;
  int64_t fan_in = 0;  // kUniform
  Init init = Init::kUniform;
  float deviation = 0;  // kNormal
  // A running statistic (common/params/param_layout.h): its "gradient" is the batch's value.
  bool statistic = false;
};

// What a layer works on, all in the kernel library's place. `weights` and `gradients` are the
// layer's own part of the arenas: its params() one after another.
struct LayerCall {
  int64_t batch = 0;  // samples, at most what the layer was made for
  bool training = false;
  uint64_t dropout_seed = 0;        // training only
  const int32_t* tokens = nullptr;  // of a text batch
  const float* weights = nullptr;
  const float* shared_weights = nullptr;  // the part of shares()
  const float* input = nullptr;  // null in the first layer of a text model, which reads `tokens`
  float* output = nullptr;
  // Backward only. The gradients are of the batch's mean loss.
  float* gradients = nullptr;
  float* shared_gradients = nullptr;
  float* output_gradient = nullptr;
  float* input_gradient = nullptr;
};

// One step of a network on one kernel library; owns the scratch it needs, allocated when it is
// made. It says which operations compute what, by appending them to `operations`; whoever asks
// makes them. One thread at a time. Backward is two calls, so that the exchange of a layer's
// gradients starts before the gradient of its input is computed.
class Layer {
 public:
  virtual ~Layer() = default;
  // In the order of the arena. Empty: a layer without parameters.
  virtual absl::Span<const LayerParam> params() const = 0;
  // Floats of one sample's output.
  virtual int64_t output_elements() const = 0;
  // Whether the output is written over the input, and the input gradient over the output gradient:
  // a call then has output == input and input_gradient == output_gradient.
  virtual bool in_place() const = 0;
  // A layer below this one whose first parameter this one uses too; null: none. Its gradient is
  // written by this layer and then added to by the other.
  virtual const Layer* shares() const { return nullptr; }
  // Whether the output is read again after the next layer has run, so that the next one may not
  // work in place.
  virtual bool output_is_kept() const { return false; }
  // output = f(input).
  virtual void Forward(const LayerCall& call, Operations* operations) = 0;
  // gradients = those of params(), overwritten; output_gradient is consumed: what InputGradient
  // needs is left in it. Needs input and output as Forward left them. Does nothing in a layer
  // without parameters.
  virtual void ParamGradient(const LayerCall& call, Operations* operations) = 0;
  // input_gradient from what ParamGradient left, overwritten. Not called for layers below the first
  // with parameters.
  virtual void InputGradient(const LayerCall& call, Operations* operations) = 0;
};

using LayerList = std::vector<std::unique_ptr<Layer>>;

// Floats of a parameter.
inline int64_t ElementCount(const LayerParam& param) {
  int64_t count = 1;
  for (int64_t extent : param.shape) count *= extent;
  return count;
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_LAYER_H_
