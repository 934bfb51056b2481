#include "worker/model/layers/dropout.h"

#include "absl/strings/string_view.h"
#include "common/base/fingerprint.h"
#include "common/base/random.h"

namespace ringmaster {

Dropout::Dropout(const DropoutOptions& options)
    : options_(options), stream_(Fingerprint64(absl::string_view(options.name))) {}

void Dropout::Mask(const LayerCall& call, float* data, Operations* operations) {
  if (!call.training) return;
  operations->emplace_back(DropoutCall{data, call.batch * options_.elements, options_.rate,
                                       MixSeed(call.dropout_seed, stream_)});
}

void Dropout::Forward(const LayerCall& call, Operations* operations) {
  Mask(call, call.output, operations);
}

void Dropout::ParamGradient(const LayerCall& call, Operations* operations) {}

void Dropout::InputGradient(const LayerCall& call, Operations* operations) {
  Mask(call, call.input_gradient, operations);
}

void AddDropout(const DropoutOptions& options, LayerList* layers) {
  if (options.rate > 0) layers->push_back(std::make_unique<Dropout>(options));
}

}  // namespace ringmaster
