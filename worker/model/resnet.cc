#include "worker/model/resnet.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "proto/model_spec.pb.h"
#include "worker/model/layers/average_pool.h"
#include "worker/model/layers/conv2d.h"
#include "worker/model/layers/linear.h"
#include "worker/model/layers/norm.h"
#include "worker/model/layers/relu.h"
#include "worker/model/layers/residual.h"
#include "worker/model/layers/swap_axes.h"
#include "worker/model/sequential.h"

namespace ringmaster {
namespace {

constexpr int64_t kStages = 3;

// CNHW images of the largest batch: what stands at one place of the network.
struct Images {
  int64_t channels = 0, height = 0, width = 0;
  int64_t pixels() const { return height * width; }
  int64_t elements() const { return channels * pixels(); }
};

// Appends the parts of one network to a list of layers; knows what images the last one gives.
class Builder {
 public:
  Builder(const ResnetSpec& spec, const ModelOptions& options, KernelLibrary& kernels,
          LayerList* layers)
      : spec_(spec),
        classes_(options.shape.classes),
        max_batch_(options.max_batch),
        kernels_(kernels),
        layers_(*layers),
        now_{options.shape.channels, options.shape.height, options.shape.width} {}

  absl::Status Build() {
    if (now_.channels > 1) {
      layers_.push_back(
          std::make_unique<SwapImageAxes>(ImageOrder::kChannelMajor, now_.channels, now_.pixels()));
    }
    RM_RETURN_IF_ERROR(AddConvNorm("conv1", "bn1", spec_.width(), 1));
    layers_.push_back(std::make_unique<Relu>(now_.elements()));
    for (int64_t stage = 0; stage < kStages; ++stage) {
      for (int32_t block = 0; block < spec_.blocks(); ++block) {
        const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        RM_RETURN_IF_ERROR(AddBlock(absl::StrCat("layer", stage + 1, ".", block),
                                    int64_t{spec_.width()} << stage, stride));
      }
    }
    layers_.push_back(std::make_unique<GlobalAveragePool>(now_.channels, now_.pixels()));
    layers_.push_back(std::make_unique<SwapImageAxes>(ImageOrder::kImageMajor, now_.channels, 1));
    return AddLinear({"fc", now_.channels, classes_}, kernels_, &layers_);
  }

 private:
  // A convolution of `from`; *to becomes the shape of its output.
  absl::StatusOr<std::unique_ptr<Layer>> Convolution(const std::string& name, const Images& from,
                                                     int64_t kernel, int64_t stride,
                                                     int64_t channels, Images* to) {
    const ConvShape shape{from.channels, max_batch_, from.height, from.width,
                          kernel,        kernel / 2, stride};
    *to = {channels, shape.out_height(), shape.out_width()};
    return Conv2d::Create({name, shape, channels}, kernels_);
  }

  absl::StatusOr<std::unique_ptr<Layer>> NormOf(const std::string& name, const Images& images) {
    NormShape shape;
    shape.kind = spec_.norm() == "batch" ? NormKind::kBatch : NormKind::kGroup;
    shape.rows = 1;
    shape.features = images.channels;
    shape.pixels = images.pixels();
    if (shape.kind == NormKind::kGroup) shape.groups_per_image = spec_.groups();
    return Norm::Create({name, shape, max_batch_}, kernels_);
  }

  absl::Status AddConvNorm(const std::string& conv, const std::string& norm, int64_t channels,
                           int64_t stride) {
    RM_ASSIGN_OR_RETURN(auto convolution, Convolution(conv, now_, 3, stride, channels, &now_));
    layers_.push_back(std::move(convolution));
    RM_ASSIGN_OR_RETURN(auto normed, NormOf(norm, now_));
    layers_.push_back(std::move(normed));
    return absl::OkStatus();
  }

  absl::Status AddBlock(const std::string& name, int64_t channels, int64_t stride) {
    const Images before = now_;
    RM_ASSIGN_OR_RETURN(auto fork, ResidualFork::Create(before.elements(), max_batch_, kernels_));
    const ResidualFork& begin = *fork;
    layers_.push_back(std::move(fork));
    RM_RETURN_IF_ERROR(AddConvNorm(name + ".conv1", name + ".bn1", channels, stride));
    layers_.push_back(std::make_unique<Relu>(now_.elements()));
    RM_RETURN_IF_ERROR(AddConvNorm(name + ".conv2", name + ".bn2", channels, 1));
    if (stride == 1) {
      layers_.push_back(ResidualJoin::Create(begin, now_.elements()));
    } else {
      ResidualProjection projection;
      Images projected;
      RM_ASSIGN_OR_RETURN(projection.convolution, Convolution(name + ".downsample.0", before, 1,
                                                              stride, channels, &projected));
      RM_ASSIGN_OR_RETURN(projection.norm, NormOf(name + ".downsample.1", projected));
      RM_ASSIGN_OR_RETURN(auto join,
                          ResidualJoin::Create(begin, std::move(projection), max_batch_, kernels_));
      layers_.push_back(std::move(join));
    }
    layers_.push_back(std::make_unique<Relu>(now_.elements()));
    return absl::OkStatus();
  }

  const ResnetSpec& spec_;
  const int64_t classes_;
  const int64_t max_batch_;
  KernelLibrary& kernels_;
  LayerList& layers_;
  Images now_;
};

absl::Status CheckSpec(const ResnetSpec& spec) {
  if (spec.blocks() < 1 || spec.width() < 1) {
    return absl::InvalidArgumentError(absl::StrCat("model \"resnet\" of ", spec.blocks(),
                                                   " blocks a stage and width ", spec.width(),
                                                   ": each must be at least 1; see model.resnet"));
  }
  if (spec.norm() == "batch") return absl::OkStatus();
  if (spec.norm() != "group") {
    return absl::InvalidArgumentError(
        absl::StrCat("model.resnet.norm \"", spec.norm(), "\": unknown; ",
                     KnownWordsText(spec.norm(), {"batch", "group"})));
  }
  if (spec.groups() >= 1 && spec.width() % spec.groups() == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("model.resnet.groups = ", spec.groups(),
                                                 ": expected a divisor of ",
                                                 "model.resnet.width = ", spec.width()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateResnet(const ResnetSpec& spec,
                                                    const ModelOptions& options,
                                                    KernelLibrary& kernels) {
  RM_RETURN_IF_ERROR(CheckSpec(spec));
  const SampleShape& sample = options.shape;
  // From 8 up the last stage has at least 2x2 pixels, so that even one image has a variance in each
  // channel.
  if (sample.channels < 1 || sample.height < 8 || sample.width < 8 || sample.classes < 1 ||
      options.max_batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model \"resnet\" on images of ", sample.channels, "x", sample.height, "x", sample.width,
        " with ", sample.classes, " classes in batches of ", options.max_batch,
        ": at least one of each, and height and width from 8 up; use model \"mlp\" for other "
        "sizes"));
  }
  LayerList layers;
  RM_RETURN_IF_ERROR(Annotate(Builder(spec, options, kernels, &layers).Build(),
                              absl::StrCat("model \"resnet\" for ", options.max_batch, " images")));
  return Sequential::Create(std::move(layers), options, kernels);
}

}  // namespace ringmaster
