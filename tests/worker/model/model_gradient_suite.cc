#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/worker/model/double_network.h"
#include "tests/worker/model/model_suite.h"

namespace ringmaster {
namespace {

DoubleBatch BatchInDouble(const ModelCase& from, const ModelRun& run, bool training) {
  return {from.shape, {run.features.begin(), run.features.end()},
          run.tokens, run.labels,
          training,   run.dropout_seed};
}

double LossInDouble(const ModelCase& from, const DoubleParams& params, const DoubleBatch& batch,
                    DoubleParams* statistics = nullptr) {
  const ModelSpec spec = from.spec();
  if (from.model == "lenet") return LenetLoss(params, batch);
  if (from.model == "cnn") return CnnLoss(params, batch);
  if (from.model == "resnet") return ResnetLoss(params, batch, spec.resnet(), statistics);
  if (from.model == "transformer")
    return TransformerLoss(params, batch, spec.transformer(), spec.dropout());
  return MlpLoss(params, batch, static_cast<int>(from.hidden.size()) + 1, spec.dropout());
}

// The central difference of the loss along `direction` of the tensor `name`. The step is so small
// that hardly any relu or maximum changes sides, and still leaves 7 digits of a loss in double.
double Slope(const ModelCase& from, const ModelRun& run, const std::string& name,
             const std::vector<double>& direction) {
  constexpr double kStep = 1e-7;
  double losses[2];
  for (int side = 0; side < 2; ++side) {
    DoubleParams params = ToDouble(run.model->layout(), run.weights);
    std::vector<double>& tensor = params[name];
    for (size_t i = 0; i < tensor.size(); ++i)
      tensor[i] += (side == 0 ? kStep : -kStep) * direction[i];
    losses[side] = LossInDouble(from, params, BatchInDouble(from, run, true));
  }
  return (losses[0] - losses[1]) / (2 * kStep);
}

double Norm(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

// The model's gradient along one random direction and at three random elements of each tensor.
// Float sums of up to 10^4 terms lose about 1e-5 of a tensor's norm, the difference quotient about
// 1e-7 in all: the bound is ten times that. What stands in the gradient of a running statistic is
// the batch's own, within the same bound.
// "" where all agree, else the first tensor that does not and both numbers. `only`, unless empty:
// one tensor's name.
std::string FirstWrongSlope(const ModelCase& from, const ModelRun& run,
                            const std::vector<float>& gradients, Random* random,
                            const std::string& only = "") {
  DoubleParams statistics;
  LossInDouble(from, ToDouble(run.model->layout(), run.weights), BatchInDouble(from, run, true),
               &statistics);
  for (const Param& param : run.model->layout().params()) {
    if (!only.empty() && param.name != only) continue;
    const auto gradient = absl::MakeConstSpan(gradients).subspan(param.begin, param.count);
    const double bound = 1e-4 * Norm(gradient) + 1e-6;
    if (!(Norm(gradient) > 1e-4)) return absl::StrCat(param.name, " has no gradient to check");
    if (param.statistic) {
      const std::vector<double>& expected = statistics.at(param.name);
      for (int64_t i = 0; i < param.count; ++i) {
        if (std::fabs(gradient[i] - expected[i]) <= bound) continue;
        return absl::StrCat(param.name, " of feature ", i, ": ", gradient[i], ", expected ",
                            expected[i]);
      }
      continue;
    }
    for (int probe = 0; probe < 4; ++probe) {
      std::vector<double> direction(param.count, 0.0);
      if (probe == 0) {
        for (double& step : direction) step = random->Below(2) == 0 ? 1.0 : -1.0;
      } else {
        direction[random->Below(param.count)] = 1.0;
      }
      double expected = 0;
      for (int64_t i = 0; i < param.count; ++i) expected += gradient[i] * direction[i];
      const double slope = Slope(from, run, param.name, direction);
      if (std::fabs(expected - slope) <= bound) continue;
      return absl::StrCat(param.name, " probe ", probe, ": gradient ", expected, ", slope ", slope,
                          ", at most ", bound, " apart");
    }
  }
  return "";
}

}  // namespace

TEST_P(ModelTest, LossesAndGradientsAreThoseOfTheNetworkInDouble) {
  std::vector<ModelCase> cases = {
      {"mlp", {}, {1, 3, 4, 5}, 6, 6},
      {"mlp", {33, 17}, {2, 5, 3, 4}, 7, 9, 4096, "dropout: 0.3"},
      {"lenet", {}, kColour, 4, 4},
      {"lenet", {}, kMnist, 9, 9},  // two blocks of columns in the second convolution
      {"cnn", {}, {3, 4, 8, 6}, 4, 4},
      {"resnet", {}, {3, 8, 8, 5}, 1, 1, 4096, "resnet { blocks: 1 width: 4 norm: 'batch' }"},
      {"resnet",
       {},
       {1, 8, 8, 5},
       1,
       2,
       4096,
       "resnet { blocks: 1 width: 4 norm: 'group' groups: 4 }"},
      {"transformer",
       {},
       kText,
       1,
       1,
       4096,
       "transformer { layers: 1 width: 8 heads: 1 } dropout: 0.5"},
      {"transformer",
       {},
       {0, 0, 0, 3, 1},
       2,
       2,
       4096,
       "transformer { layers: 1 width: 5 heads: 1 tied_head: true }"},
  };
  for (const ModelCase& small : SmallModels()) cases.push_back(small);
  for (const ModelCase& from : cases) {
    SCOPED_TRACE(absl::StrCat(from.model, " ", from.settings, " ", from.shape.channels, "x",
                              from.shape.height, "x", from.shape.width, " batch ", from.batch));
    const ModelRun run = Prepare(from);
    const std::vector<float> gradients = Gradients(run);
    const auto score = run.model->Score();
    ASSERT_TRUE(score.ok()) << score.status();
    EXPECT_EQ(score->count, from.batch * from.shape.labels());
    const DoubleParams params = ToDouble(run.model->layout(), run.weights);
    const double loss = LossInDouble(from, params, BatchInDouble(from, run, true));
    EXPECT_NEAR(score->loss_sum / static_cast<double>(score->count), loss, 1e-5 * loss);
    EXPECT_EQ(FirstWrongSlope(from, run, gradients, &random_), "");
    const double evaluated = LossInDouble(from, params, BatchInDouble(from, run, false));
    EXPECT_NEAR(EvaluationLoss(run) / static_cast<double>(score->count), evaluated,
                1e-5 * evaluated);
  }
}

// The check above can fail: a tensor's gradient reversed, scaled, or shifted by one element does
// not pass it.
TEST_P(ModelTest, WrongGradientsOfAnyTensorAreFound) {
  for (const ModelCase& from : SmallModels()) {
    const ModelRun run = Prepare(from);
    const std::vector<float> right = Gradients(run);
    EXPECT_EQ(FirstWrongSlope(from, run, right, &random_), "");
    for (const Param& param : run.model->layout().params()) {
      const auto begin = [&](std::vector<float>& gradients) {
        return gradients.begin() + param.begin;
      };
      std::vector<float> negated = right, doubled = right, shifted = right;
      std::transform(begin(negated), begin(negated) + param.count, begin(negated),
                     [](float g) { return -g; });
      std::transform(begin(doubled), begin(doubled) + param.count, begin(doubled),
                     [](float g) { return 2 * g; });
      std::rotate(begin(shifted), begin(shifted) + 1, begin(shifted) + param.count);
      for (const std::vector<float>& wrong : {negated, doubled, shifted}) {
        EXPECT_NE(FirstWrongSlope(from, run, wrong, &random_, param.name), "")
            << from.model << " " << param.name;
      }
    }
  }
}

}  // namespace ringmaster
