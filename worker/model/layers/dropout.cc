#include "worker/model/layers/dropout.h"

#include "absl/strings/string_view.h"
#include "common/base/fingerprint.h"
#include "common/base/random.h"

namespace ringmaster {

Dropout::Dropout(const DropoutOptions& options, KernelLibrary& kernels)
    : options_(options), stream_(Fingerprint64(absl::string_view(options.name))), kernels_(kernels) {}

absl::Status Dropout::Mask(const LayerCall& call, float* data) {
  if (!call.training) return absl::OkStatus();
  return kernels_.Dropout(
      {data, call.batch * options_.elements, options_.rate, MixSeed(call.dropout_seed, stream_)});
}

absl::Status Dropout::Forward(const LayerCall& call) { return Mask(call, call.output); }

absl::Status Dropout::ParamGradient(const LayerCall& call) { return absl::OkStatus(); }

absl::Status Dropout::InputGradient(const LayerCall& call) { return Mask(call, call.input_gradient); }

void AddDropout(const DropoutOptions& options, KernelLibrary& kernels, LayerList* layers) {
  if (options.rate > 0) layers->push_back(std::make_unique<Dropout>(options, kernels));
}

}  // namespace ringmaster
