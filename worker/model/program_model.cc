#include "worker/model/program_model.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "proto/model_spec.pb.h"

namespace ringmaster {
namespace {

absl::Status NobodyComputes() {
  return absl::FailedPreconditionError(
      "model \"program\": its gradients are computed by the program itself, in processes of its "
      "own, under `compare`, `run` and `sweep`; this command computes with models of ours alone");
}

class DescribedModel : public Model {
 public:
  explicit DescribedModel(ParamLayout layout) : layout_(std::move(layout)) {}

  const ParamLayout& layout() const override { return layout_; }
  void InitWeights(uint64_t seed, absl::Span<float> weights) const override {
    std::fill(weights.begin(), weights.end(), 0.0f);
  }
  absl::Status Forward(const BatchView& batch, TensorView weights) override {
    return NobodyComputes();
  }
  absl::Status Backward(TensorView weights, TensorView gradients, BucketReady ready) override {
    return NobodyComputes();
  }
  absl::StatusOr<BatchScore> Score() override { return NobodyComputes(); }
  absl::Status ScoreRows(absl::Span<float> losses, absl::Span<int32_t> predictions) override {
    return NobodyComputes();
  }

 private:
  const ParamLayout layout_;
};

}  // namespace

bool IsStatisticName(absl::string_view name) {
  for (const absl::string_view word : {"running_mean", "running_var"}) {
    if (name == word) return true;
    if (absl::ConsumeSuffix(&name, word)) return absl::EndsWith(name, ".");
  }
  return false;
}

ParamLayout ProgramLayout(const ProgramModelSpec& spec, const ModelOptions& options) {
  std::vector<Param> params;
  for (const TensorSpec& tensor : spec.tensors()) {
    Param param;
    param.name = tensor.name();
    param.shape.assign(tensor.shape().begin(), tensor.shape().end());
    param.statistic = IsStatisticName(tensor.name());
    params.push_back(std::move(param));
  }
  return ParamLayout(std::move(params),
                     std::max<int64_t>(1, options.bucket_bytes / int64_t{sizeof(float)}),
                     options.bucket_layout);
}

std::unique_ptr<Model> CreateDescribedModel(ParamLayout layout) {
  return std::make_unique<DescribedModel>(std::move(layout));
}

}  // namespace ringmaster
