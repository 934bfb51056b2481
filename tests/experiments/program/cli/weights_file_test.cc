#include "experiments/program/cli/weights_file.h"

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "worker/kernels/registry.h"
#include "worker/model/model.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

// What a file of a fresh model of that spec would say, without the spec.
WeightsHeader HeaderOf(const std::string& spec_text, const SampleShape& shape) {
  ModelSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec_text, &spec));
  const auto kernels = CreateKernelLibrary("reference", 0);
  ModelOptions options;
  options.shape = shape;
  options.max_batch = 1;
  options.bucket_bytes = 1 << 20;
  const auto model = CreateModel(spec, options, **kernels);
  EXPECT_TRUE(model.ok()) << model.status();
  WeightsHeader header;
  for (const Param& param : (*model)->layout().params()) header.shapes[param.name] = param.shape;
  return header;
}

TEST(WeightsFile, TheTensorsOfEveryModelTellItsFlags) {
  const SampleShape grey{1, 28, 28, 10}, colour{3, 32, 32, 10}, texts{0, 0, 0, 96, 16};
  EXPECT_EQ(FlagsOfModel(HeaderOf(R"(name: "lenet")", grey)), "--model lenet");
  EXPECT_EQ(FlagsOfModel(HeaderOf(R"(name: "cnn")", grey)), "--model cnn");
  EXPECT_EQ(FlagsOfModel(HeaderOf(R"(name: "mlp" mlp_hidden: [128, 64])", grey)),
            "--model mlp --set model.mlp_hidden=128,64");
  EXPECT_EQ(FlagsOfModel(HeaderOf(
                R"(name: "resnet" resnet { blocks: 2 width: 4 norm: "batch" groups: 1 })", colour)),
            "--model resnet --set model.resnet.blocks=2 --set model.resnet.width=4");
  EXPECT_EQ(FlagsOfModel(HeaderOf(
                R"(name: "resnet" resnet { blocks: 1 width: 8 norm: "group" groups: 4 })", colour)),
            "--model resnet --set model.resnet.blocks=1 --set model.resnet.width=8 --set "
            "model.resnet.norm=group");
  EXPECT_THAT(
      FlagsOfModel(HeaderOf(
          R"(name: "transformer" transformer { layers: 3 width: 8 heads: 2 tied_head: true })",
          texts)),
      HasSubstr("--model transformer --set model.transformer.layers=3 --set "
                "model.transformer.width=8 --set model.transformer.tied_head=true --set "
                "model.transformer.heads=H"));
  WeightsHeader other;
  other.shapes["encoder.weight"] = {3, 3};
  EXPECT_EQ(FlagsOfModel(other), "");
}

TEST(WeightsFile, AFileThatSaysNoModelNamesWhatFits) {
  WeightsHeader header = HeaderOf(R"(name: "mlp" mlp_hidden: 7)", {1, 4, 4, 10});
  const std::string error(ModelOfWeights("w", header).status().message());
  EXPECT_THAT(
      error,
      HasSubstr("--weights w: the file does not say which model it was saved from; give --model"));
  EXPECT_THAT(error, HasSubstr("what fits its tensors is --model mlp --set model.mlp_hidden=7"));
  header.shapes = {{"encoder.weight", {3, 3}}};
  EXPECT_THAT(std::string(ModelOfWeights("w", header).status().message()),
              HasSubstr("of no model that `ringmaster list` has"));
}

TEST(WeightsFile, AnOlderFileOfAModelWithoutSizesIsEnough) {
  WeightsHeader header = HeaderOf(R"(name: "lenet")", {1, 28, 28, 10});
  EXPECT_FALSE(ModelOfWeights("w", header).ok());
  header.model_name = "lenet";
  const auto model = ModelOfWeights("w", header);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->name(), "lenet");
}

}  // namespace
}  // namespace ringmaster
