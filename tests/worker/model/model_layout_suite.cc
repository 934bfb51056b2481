#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/fingerprint.h"
#include "tests/worker/model/model_suite.h"

namespace ringmaster {
namespace {

// Names and shapes in the order of the arena.
std::vector<std::string> NamesOf(const ParamLayout& layout) {
  std::vector<std::string> names;
  for (const Param& param : layout.params()) {
    names.push_back(absl::StrCat(param.name, " ", absl::StrJoin(param.shape, "x")));
  }
  return names;
}

const char kTransformer[] = "transformer { layers: 1 width: 8 heads: 2 }";
const char kTied[] = "transformer { layers: 1 width: 8 heads: 2 tied_head: true }";

}  // namespace

TEST_P(ModelTest, ResnetOfThreeBlocksHas272474WeightsNamedAsInPyTorch) {
  const auto model = Create(
      {"resnet", {}, {3, 32, 32, 10}, 1, 1, 4096, "resnet { blocks: 3 width: 16 norm: 'batch' }"});
  ASSERT_TRUE(model.ok()) << model.status();
  int64_t weights = 0, statistics = 0;
  for (const Param& param : (*model)->layout().params()) {
    (param.statistic ? statistics : weights) += param.count;
    EXPECT_EQ(param.statistic, absl::StrContains(param.name, ".running_")) << param.name;
  }
  EXPECT_EQ(weights, 272474);
  EXPECT_EQ(statistics, 2 * 784);  // of 19 norms and two in projections
  const std::vector<std::string> names = NamesOf((*model)->layout());
  EXPECT_EQ(names[0], "fc.weight 10x64");
  EXPECT_EQ(names[1], "fc.bias 10");
  EXPECT_EQ(names[2], "layer3.2.bn2.weight 64");
  EXPECT_EQ(names[3], "layer3.2.bn2.bias 64");
  EXPECT_EQ(names[4], "layer3.2.bn2.running_mean 64");
  EXPECT_EQ(names[5], "layer3.2.bn2.running_var 64");
  EXPECT_EQ(names[6], "layer3.2.conv2.weight 64x64x3x3");
  EXPECT_EQ(names.back(), "conv1.weight 16x3x3x3");
  const std::string all = absl::StrJoin(names, "\n");
  EXPECT_TRUE(absl::StrContains(
      all, "layer2.0.downsample.0.weight 32x16x1x1\nlayer2.0.downsample.1.weight 32\n"))
      << all;
}

TEST_P(ModelTest, TheTransformersParametersAreNamedAsInPyTorchAndATiedHeadHasNone) {
  const auto model = Create({"transformer", {}, kText, 1, 1, 4096, kTransformer});
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<std::string> names = NamesOf((*model)->layout());
  EXPECT_EQ(
      names,
      (std::vector<std::string>{
          "head.weight 11x8", "norm.weight 8", "norm.bias 8", "blocks.0.mlp.proj.weight 8x32",
          "blocks.0.mlp.proj.bias 8", "blocks.0.mlp.fc.weight 32x8", "blocks.0.mlp.fc.bias 32",
          "blocks.0.norm2.weight 8", "blocks.0.norm2.bias 8", "blocks.0.attn.proj.weight 8x8",
          "blocks.0.attn.proj.bias 8", "blocks.0.attn.qkv.weight 24x8", "blocks.0.attn.qkv.bias 24",
          "blocks.0.norm1.weight 8", "blocks.0.norm1.bias 8", "tok.weight 11x8",
          "pos.weight 6x8"}));
  const auto tied = Create({"transformer", {}, kText, 1, 1, 4096, kTied});
  ASSERT_TRUE(tied.ok()) << tied.status();
  names.erase(names.begin());
  EXPECT_EQ(NamesOf((*tied)->layout()), names);
}

// Both read the same table where the untied head has a copy of it: equal losses, and the tied
// gradient is the sum.
TEST_P(ModelTest, ATiedHeadIsAnUntiedOneWithTheTokenTableInItsPlace) {
  ModelRun untied = Prepare({"transformer", {}, kText, 3, 4, 4096, kTransformer});
  const auto params = untied.model->layout().params();
  const int64_t head = params[0].count;
  const Param& table = params[params.size() - 2];
  for (int64_t i = 0; i < head; ++i) untied.weights[i] = untied.weights[table.begin + i];
  untied.device_weights = std::make_unique<DeviceArray<float>>(kernels(), untied.weights);
  const std::vector<float> expected = Gradients(untied);
  const double expected_loss = EvaluationLoss(untied);
  auto model = Create({"transformer", {}, kText, 3, 4, 4096, kTied});
  ASSERT_TRUE(model.ok()) << model.status();
  ModelRun& tied = untied;  // the same batch under another model
  tied.model = *std::move(model);
  tied.weights.erase(tied.weights.begin(), tied.weights.begin() + head);
  tied.device_weights = std::make_unique<DeviceArray<float>>(kernels(), tied.weights);
  tied.device_gradients = std::make_unique<DeviceArray<float>>(
      DeviceArray<float>::Poisoned(kernels(), tied.model->layout().count()));
  const std::vector<float> gradients = Gradients(tied);
  EXPECT_EQ(EvaluationLoss(tied), expected_loss);
  for (const Param& param : tied.model->layout().params()) {
    for (int64_t i = 0; i < param.count; ++i) {
      const float own = expected[head + param.begin + i];
      const float sum = param.name == "tok.weight" ? own + expected[i] : own;
      // The order of a row's sum differs, so the last bits may.
      EXPECT_NEAR(gradients[param.begin + i], sum, 1e-5) << param.name << " " << i;
    }
  }
}

TEST_P(ModelTest, DropoutFollowsItsSeedOfRateZeroIsNoneAndStopsInEvaluation) {
  const char* kDropout = "transformer { layers: 1 width: 8 heads: 2 } dropout: ";
  const auto gradients_with = [&](const std::string& settings, uint64_t dropout_seed,
                                  double* evaluated) {
    random_ = Random(3);  // the same weights and batch each time
    ModelRun run = Prepare({"transformer", {}, kText, 3, 4, 4096, settings});
    run.dropout_seed = dropout_seed;
    std::vector<float> gradients = Gradients(run);
    *evaluated = EvaluationLoss(run);
    return gradients;
  };
  double loss = 0, other_loss = 0;
  const std::vector<float> none = gradients_with(kTransformer, 1, &loss);
  EXPECT_TRUE(SameBits(none, gradients_with(absl::StrCat(kDropout, "0"), 1, &other_loss)));
  EXPECT_EQ(loss, other_loss);
  const std::vector<float> dropped = gradients_with(absl::StrCat(kDropout, "0.2"), 1, &other_loss);
  EXPECT_EQ(loss, other_loss);
  EXPECT_FALSE(SameBits(none, dropped));
  EXPECT_TRUE(SameBits(dropped, gradients_with(absl::StrCat(kDropout, "0.2"), 1, &other_loss)));
  EXPECT_FALSE(SameBits(dropped, gradients_with(absl::StrCat(kDropout, "0.2"), 2, &other_loss)));
}

// Whoever changes how weights start changes every published trajectory.
TEST_P(ModelTest, InitialWeightsOfEveryModelAreThoseOfItsFirstDay) {
  std::vector<std::string> prints;
  for (const ModelCase& from : SmallModels()) {
    const auto model = Create(from);
    ASSERT_TRUE(model.ok()) << model.status();
    std::vector<float> weights((*model)->layout().count());
    (*model)->InitWeights(1, absl::MakeSpan(weights));
    prints.push_back(
        absl::StrCat(from.model, " ", Sha256Hex(absl::MakeConstSpan(weights)).substr(0, 16)));
  }
  EXPECT_EQ(prints, (std::vector<std::string>{
                        "mlp 98667dba0fcd220f", "lenet 778650572ace1fd9", "cnn dfc2183e99ad044d",
                        "resnet 0f8289da04915c22", "resnet 17317af42338c703",
                        "transformer cfead49ac126a86c", "transformer d24248836ce8d990"}));
}

TEST_P(ModelTest, NormsStartAtOneAndZeroAndTheTransformersWeightsAtTheirDeviations) {
  const auto model = Create({"transformer",
                             {},
                             {0, 0, 0, 256, 64},
                             1,
                             1,
                             4096,
                             "transformer { layers: 8 width: 64 heads: 2 }"});
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> weights((*model)->layout().count());
  (*model)->InitWeights(1, absl::MakeSpan(weights));
  for (const Param& param : (*model)->layout().params()) {
    double sum = 0, squares = 0;
    for (int64_t i = param.begin; i < param.begin + param.count; ++i) {
      sum += weights[i];
      squares += static_cast<double>(weights[i]) * weights[i];
    }
    const double count = static_cast<double>(param.count);
    if (param.shape.size() == 1) {
      const bool gain =
          absl::StrContains(param.name, "norm") && absl::EndsWith(param.name, ".weight");
      EXPECT_EQ(sum, gain ? count : 0) << param.name;
      EXPECT_EQ(squares, gain ? count : 0) << param.name;
      continue;
    }
    // 8 layers: 0.02 / sqrt(16). Of 4096 numbers and more the deviation is within 5 % (four times
    // its own).
    const double deviation = absl::StrContains(param.name, "proj") ? 0.005 : 0.02;
    EXPECT_NEAR(std::sqrt(squares / count), deviation, 0.05 * deviation) << param.name;
  }
}

}  // namespace ringmaster
