#ifndef RINGMASTER_WORKER_MODEL_LAYERS_DROPOUT_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_DROPOUT_H_

#include <string>

#include "worker/model/layers/layer.h"

namespace ringmaster {

struct DropoutOptions {
  std::string name;      // of the place in the network: each has masks of its own
  int64_t elements = 0;  // of one sample
  float rate = 0;        // share set to 0, in [0, 1)
};

// Inverted dropout, in place, while training; nothing in evaluation. The mask follows the batch's
// dropout seed and the name, so that backward makes it again rather than keep it.
//
// It may stand behind a relu, which it leaves able to tell from its output what passed: what is set
// to 0 has a gradient of 0 already.
class Dropout final : public Layer {
 public:
  explicit Dropout(const DropoutOptions& options);

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return options_.elements; }
  bool in_place() const override { return true; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  void Mask(const LayerCall& call, float* data, Operations* operations);

  const DropoutOptions options_;
  const uint64_t stream_;  // by name
};

// Appends the layer, unless the rate is 0.
void AddDropout(const DropoutOptions& options, LayerList* layers);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_DROPOUT_H_
