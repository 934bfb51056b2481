#ifndef RINGMASTER_WORKER_MODEL_LAYERS_LAYER_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_LAYER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

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
  int64_t fan_in = 0;              // kUniform
  Init init = Init::kUniform;
  float deviation = 0;             // kNormal
  // A running statistic (common/params/param_layout.h): its "gradient" is the batch's value.
  bool statistic = false;
};

// What a layer works on, all in the kernel library's place. `weights` and `gradients` are the layer's own part of the
// arenas: its params() one after another.
struct LayerCall {
  int64_t batch = 0;  // samples, at most what the layer was made for
  bool training = false;
  uint64_t dropout_seed = 0;         // training only
  const int32_t* tokens = nullptr;   // of a text batch
  const float* weights = nullptr;
  const float* input = nullptr;
  float* output = nullptr;
  // Backward only. The gradients are of the batch's mean loss.
  float* gradients = nullptr;
  float* output_gradient = nullptr;
  float* input_gradient = nullptr;
};

// One step of a network on one kernel library; owns the scratch it needs, allocated when it is made. One thread at a
// time. Backward is two calls, so that the exchange of a layer's gradients starts before the gradient of its input is
// computed.
class Layer {
 public:
  virtual ~Layer() = default;
  // In the order of the arena. Empty: a layer without parameters.
  virtual absl::Span<const LayerParam> params() const = 0;
  // Floats of one sample's output.
  virtual int64_t output_elements() const = 0;
  // Whether the output is written over the input, and the input gradient over the output gradient: a call then has
  // output == input and input_gradient == output_gradient.
  virtual bool in_place() const = 0;
  // output = f(input).
  virtual absl::Status Forward(const LayerCall& call) = 0;
  // gradients = those of params(), overwritten; output_gradient is consumed: what InputGradient needs is left in it.
  // Needs input and output as Forward left them. Does nothing in a layer without parameters.
  virtual absl::Status ParamGradient(const LayerCall& call) = 0;
  // input_gradient from what ParamGradient left, overwritten. Not called for layers below the first with parameters.
  virtual absl::Status InputGradient(const LayerCall& call) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_LAYER_H_
