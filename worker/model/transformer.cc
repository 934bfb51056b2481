#include "worker/model/transformer.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "proto/model_spec.pb.h"
#include "worker/model/layers/attention.h"
#include "worker/model/layers/dropout.h"
#include "worker/model/layers/embedding.h"
#include "worker/model/layers/linear.h"
#include "worker/model/layers/norm.h"
#include "worker/model/layers/residual.h"
#include "worker/model/sequential.h"

namespace ringmaster {
namespace {

constexpr float kDeviation = 0.02f;
constexpr int64_t kMlpRatio = 4;

// Appends the parts of one transformer to a list of layers.
class Builder {
 public:
  Builder(const TransformerSpec& spec, float dropout, const ModelOptions& options,
          KernelLibrary& kernels, LayerList* layers)
      : spec_(spec),
        dropout_(dropout),
        context_(options.shape.context),
        width_(spec.width()),
        vocabulary_(options.shape.classes),
        max_batch_(options.max_batch),
        kernels_(kernels),
        layers_(*layers) {}

  absl::Status Build() {
    auto embedding = std::make_unique<TokenEmbedding>(
        EmbeddingOptions{vocabulary_, context_, width_, kDeviation, spec_.tied_head()});
    const Layer* table = embedding.get();
    layers_.push_back(std::move(embedding));
    AddDropout({"tok", context_ * width_, dropout_}, &layers_);
    for (int32_t i = 0; i < spec_.layers(); ++i) {
      const std::string block = absl::StrCat("blocks.", i);
      RM_RETURN_IF_ERROR(AddAttention(block));
      RM_RETURN_IF_ERROR(AddMlp(block));
    }
    RM_RETURN_IF_ERROR(AddNorm("norm"));
    LinearOptions head = LinearOf("head", width_, vocabulary_);
    head.bias = false;
    if (spec_.tied_head()) head.shares = table;
    return AddLinear(head, kernels_, &layers_);
  }

 private:
  LinearOptions LinearOf(const std::string& name, int64_t inputs, int64_t outputs) const {
    LinearOptions linear{name, inputs, outputs};
    linear.rows_per_sample = context_;
    linear.max_batch = max_batch_;
    linear.deviation = kDeviation;
    return linear;
  }

  absl::Status AddNorm(const std::string& name) {
    NormShape shape;
    shape.kind = NormKind::kLayer;
    shape.rows = context_;
    shape.features = width_;
    RM_ASSIGN_OR_RETURN(auto norm, Norm::Create({name, shape, max_batch_}, kernels_));
    layers_.push_back(std::move(norm));
    return absl::OkStatus();
  }

  // The beginning and the end of each residual half.
  absl::StatusOr<const ResidualFork*> AddFork() {
    RM_ASSIGN_OR_RETURN(auto fork, ResidualFork::Create(context_ * width_, max_batch_, kernels_));
    const ResidualFork* begin = fork.get();
    layers_.push_back(std::move(fork));
    return begin;
  }
  absl::Status AddJoin(const std::string& proj, int64_t inputs, const ResidualFork& fork) {
    LinearOptions linear = LinearOf(proj, inputs, width_);
    // 2 * layers branches are added up on the way through.
    linear.deviation = kDeviation / std::sqrt(2.0f * static_cast<float>(spec_.layers()));
    RM_RETURN_IF_ERROR(AddLinear(linear, kernels_, &layers_));
    AddDropout({proj, context_ * width_, dropout_}, &layers_);
    layers_.push_back(ResidualJoin::Create(fork, context_ * width_));
    return absl::OkStatus();
  }

  absl::Status AddAttention(const std::string& block) {
    RM_ASSIGN_OR_RETURN(const ResidualFork* fork, AddFork());
    RM_RETURN_IF_ERROR(AddNorm(block + ".norm1"));
    RM_RETURN_IF_ERROR(
        AddLinear(LinearOf(block + ".attn.qkv", width_, 3 * width_), kernels_, &layers_));
    RM_ASSIGN_OR_RETURN(
        auto attention,
        CausalAttention::Create({max_batch_, context_, spec_.heads(), width_ / spec_.heads()},
                                kernels_));
    layers_.push_back(std::move(attention));
    return AddJoin(block + ".attn.proj", width_, *fork);
  }

  absl::Status AddMlp(const std::string& block) {
    RM_ASSIGN_OR_RETURN(const ResidualFork* fork, AddFork());
    RM_RETURN_IF_ERROR(AddNorm(block + ".norm2"));
    LinearOptions fc = LinearOf(block + ".mlp.fc", width_, kMlpRatio * width_);
    fc.activation = Activation::kGelu;
    RM_RETURN_IF_ERROR(AddLinear(fc, kernels_, &layers_));
    return AddJoin(block + ".mlp.proj", kMlpRatio * width_, *fork);
  }

  const TransformerSpec& spec_;
  const float dropout_;
  const int64_t context_;
  const int64_t width_;
  const int64_t vocabulary_;
  const int64_t max_batch_;
  KernelLibrary& kernels_;
  LayerList& layers_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateTransformer(const TransformerSpec& spec, float dropout,
                                                         const ModelOptions& options,
                                                         KernelLibrary& kernels) {
  if (spec.layers() < 1 || spec.width() < 1 || spec.heads() < 1 ||
      spec.width() % spec.heads() != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model \"transformer\" of ", spec.layers(), " layers, width ", spec.width(), " and ",
        spec.heads(),
        " heads: each must be at least 1, and the heads divide the width; see model.transformer"));
  }
  const SampleShape& sample = options.shape;
  if (sample.context < 1 || sample.classes < 1 || options.max_batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model \"transformer\" on texts of ", sample.context, " tokens out of ", sample.classes,
        " in batches of ", options.max_batch, ": each must be at least 1"));
  }
  LayerList layers;
  RM_RETURN_IF_ERROR(Annotate(Builder(spec, dropout, options, kernels, &layers).Build(),
                              absl::StrCat("model \"transformer\" for ", options.max_batch,
                                           " texts of ", sample.context, " tokens")));
  return Sequential::Create(std::move(layers), options, kernels);
}

}  // namespace ringmaster
