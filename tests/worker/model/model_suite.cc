#include "tests/worker/model/model_suite.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/kernels/reference/reference_library.h"

namespace ringmaster {

void ModelTest::SetUp() {
  const uint64_t seed = 1 + GTEST_FLAG_GET(random_seed);
  std::printf("seed: --gtest_random_seed=%llu\n", static_cast<unsigned long long>(seed - 1));
  random_ = Random(seed);
  auto kernels = GetParam().create();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  kernels_ = *std::move(kernels);
}

absl::StatusOr<std::unique_ptr<Model>> ModelTest::Create(const ModelCase& from) {
  ModelSpec spec;
  spec.set_name(from.model);
  for (int32_t size : from.hidden) spec.add_mlp_hidden(size);
  return CreateModel(spec, {from.shape, from.max_batch, from.bucket_bytes}, kernels());
}

ModelRun ModelTest::Prepare(const ModelCase& from) {
  ModelRun run;
  auto model = Create(from);
  EXPECT_TRUE(model.ok()) << model.status();
  run.model = *std::move(model);
  run.weights.resize(run.model->layout().count());
  run.model->InitWeights(random_.Next(), absl::MakeSpan(run.weights));
  run.features.resize(from.batch * from.shape.features());
  for (float& feature : run.features) feature = random_.Normal();
  run.labels.resize(from.batch);
  for (int32_t& label : run.labels) label = static_cast<int32_t>(random_.Below(from.shape.classes));
  run.device_weights = std::make_unique<DeviceArray<float>>(kernels(), run.weights);
  run.device_features = std::make_unique<DeviceArray<float>>(kernels(), run.features);
  run.device_labels = std::make_unique<DeviceArray<int32_t>>(kernels(), run.labels);
  run.device_gradients = std::make_unique<DeviceArray<float>>(
      DeviceArray<float>::Poisoned(kernels(), run.model->layout().count()));
  return run;
}

absl::Status ModelTest::Forward(const ModelRun& run) {
  return run.model->Forward(run.batch(), run.weight_arena(kernels().place()));
}

absl::Status ModelTest::Backward(const ModelRun& run, BucketReady ready) {
  return run.model->Backward(run.weight_arena(kernels().place()), run.gradient_arena(kernels().place()), ready);
}

std::vector<float> ModelTest::Gradients(const ModelRun& run) {
  EXPECT_EQ(Forward(run), absl::OkStatus());
  EXPECT_EQ(Backward(run, [](const Bucket&) { return absl::OkStatus(); }), absl::OkStatus());
  return run.device_gradients->Download();
}

namespace {

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

const SampleShape kMnist{1, 28, 28, 10};
const SampleShape kSmall{1, 16, 16, 10};
const SampleShape kColour{3, 16, 20, 7};

double LossInDouble(const ModelCase& from, const DoubleParams& params, const ModelRun& run) {
  const DoubleBatch batch{from.shape, {run.features.begin(), run.features.end()}, run.labels};
  if (from.model == "lenet") return LenetLoss(params, batch);
  if (from.model == "cnn") return CnnLoss(params, batch);
  return MlpLoss(params, batch, static_cast<int>(from.hidden.size()) + 1);
}

// The central difference of the loss along `direction` of the tensor `name`. The step is so small that hardly any
// relu or maximum changes sides, and still leaves 7 digits of a loss in double.
double Slope(const ModelCase& from, const ModelRun& run, const std::string& name,
             const std::vector<double>& direction) {
  constexpr double kStep = 1e-7;
  double losses[2];
  for (int side = 0; side < 2; ++side) {
    DoubleParams params = ToDouble(run.model->layout(), run.weights);
    std::vector<double>& tensor = params[name];
    for (size_t i = 0; i < tensor.size(); ++i) tensor[i] += (side == 0 ? kStep : -kStep) * direction[i];
    losses[side] = LossInDouble(from, params, run);
  }
  return (losses[0] - losses[1]) / (2 * kStep);
}

double Norm(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

// The model's gradient along one random direction and at three random elements of each tensor. Float sums of up to 10^4
// terms lose about 1e-5 of a tensor's norm, the difference quotient about 1e-7 in all: the bound is ten times that.
// "" where all agree, else the first tensor that does not and both numbers.
std::string FirstWrongSlope(const ModelCase& from, const ModelRun& run, const std::vector<float>& gradients,
                            Random* random) {
  for (const Param& param : run.model->layout().params()) {
    const auto gradient = absl::MakeConstSpan(gradients).subspan(param.begin, param.count);
    const double bound = 1e-4 * Norm(gradient) + 1e-6;
    if (!(Norm(gradient) > 1e-4)) return absl::StrCat(param.name, " has no gradient to check");
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
      return absl::StrCat(param.name, " probe ", probe, ": gradient ", expected, ", slope ", slope, ", at most ", bound,
                          " apart");
    }
  }
  return "";
}

}  // namespace

TEST_P(ModelTest, LossesAndGradientsAreThoseOfTheNetworkInDouble) {
  const std::vector<ModelCase> cases = {
      {"mlp", {}, {1, 3, 4, 5}, 6, 6},
      {"mlp", {33, 17}, {2, 5, 3, 4}, 7, 9},
      {"lenet", {}, kSmall, 3, 5},
      {"lenet", {}, kColour, 4, 4},
      {"lenet", {}, kMnist, 11, 11},  // two blocks of columns in the second convolution
      {"cnn", {}, {1, 8, 12, 10}, 3, 5},
      {"cnn", {}, {3, 4, 8, 6}, 4, 4},
  };
  for (const ModelCase& from : cases) {
    SCOPED_TRACE(absl::StrCat(from.model, " ", from.shape.channels, "x", from.shape.height, "x", from.shape.width,
                              " batch ", from.batch));
    const ModelRun run = Prepare(from);
    const std::vector<float> gradients = Gradients(run);
    const auto score = run.model->Score();
    ASSERT_TRUE(score.ok()) << score.status();
    EXPECT_EQ(score->count, from.batch);
    const double loss = LossInDouble(from, ToDouble(run.model->layout(), run.weights), run);
    EXPECT_NEAR(score->loss_sum / static_cast<double>(from.batch), loss, 1e-5 * loss);
    EXPECT_EQ(FirstWrongSlope(from, run, gradients, &random_), "");
  }
}

// The check above can fail: a tensor's gradient reversed, scaled, or shifted by one element does not pass it.
TEST_P(ModelTest, WrongGradientsOfAnyTensorAreFound) {
  for (const ModelCase& from : {ModelCase{"mlp", {33, 17}, {2, 5, 3, 4}, 7, 9}, ModelCase{"lenet", {}, kSmall, 3, 5},
                                ModelCase{"cnn", {}, {2, 4, 8, 10}, 3, 5}}) {
    const ModelRun run = Prepare(from);
    const std::vector<float> right = Gradients(run);
    EXPECT_EQ(FirstWrongSlope(from, run, right, &random_), "");
    for (const Param& param : run.model->layout().params()) {
      const auto begin = [&](std::vector<float>& gradients) { return gradients.begin() + param.begin; };
      std::vector<float> negated = right, doubled = right, shifted = right;
      std::transform(begin(negated), begin(negated) + param.count, begin(negated), [](float g) { return -g; });
      std::transform(begin(doubled), begin(doubled) + param.count, begin(doubled), [](float g) { return 2 * g; });
      std::rotate(begin(shifted), begin(shifted) + 1, begin(shifted) + param.count);
      EXPECT_NE(FirstWrongSlope(from, run, negated, &random_), "") << param.name;
      EXPECT_NE(FirstWrongSlope(from, run, doubled, &random_), "") << param.name;
      EXPECT_NE(FirstWrongSlope(from, run, shifted, &random_), "") << param.name;
    }
  }
}

TEST_P(ModelTest, LenetOnMnistHas431080ParametersLastLayerFirst) {
  const auto model = Create({"lenet", {}, kMnist, 1, 1});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->layout().count(), 431080);
  std::vector<std::string> names;
  for (const Param& param : (*model)->layout().params()) {
    names.push_back(absl::StrCat(param.name, " ", absl::StrJoin(param.shape, "x")));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"fc2.weight 10x500", "fc2.bias 10", "fc1.weight 500x800", "fc1.bias 500",
                                             "conv2.bias 50", "conv2.weight 50x20x5x5", "conv1.bias 20",
                                             "conv1.weight 20x1x5x5"}));
}

TEST_P(ModelTest, CnnOnMnistHas3274634Parameters) {
  const auto model = Create({"cnn", {}, kMnist, 1, 1});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->layout().count(), 3274634);
  EXPECT_EQ((*model)->layout().params()[2].name, "fc1.weight");
  EXPECT_EQ((*model)->layout().params()[2].shape, (std::vector<int64_t>{1024, 3136}));
}

TEST_P(ModelTest, EveryBucketIsAnnouncedOnceInOrderAndWithItsFinalBits) {
  for (const int64_t bucket_bytes : {int64_t{4}, int64_t{4096}, int64_t{100000}, int64_t{64} << 20}) {
    // One float a bucket only for a small model.
    const ModelCase from = bucket_bytes == 4 ? ModelCase{"mlp", {3}, {1, 2, 2, 2}, 2, 2, bucket_bytes}
                                             : ModelCase{"lenet", {}, kMnist, 4, 4, bucket_bytes};
    const ModelRun run = Prepare(from);
    ASSERT_EQ(Forward(run), absl::OkStatus());
    const auto buckets = run.model->layout().buckets();
    std::vector<float> announced(run.model->layout().count());
    size_t next = 0;
    const absl::Status status = Backward(run, [&](const Bucket& bucket) -> absl::Status {
      if (next >= buckets.size() || bucket.id != buckets[next].id || bucket.begin != buckets[next].begin) {
        return absl::InternalError(absl::StrCat("bucket ", bucket.id, " announced in place of ", next));
      }
      ++next;
      const std::vector<float> now = run.device_gradients->Download();
      std::copy(now.begin() + bucket.begin, now.begin() + bucket.end(), announced.begin() + bucket.begin);
      return absl::OkStatus();
    });
    ASSERT_EQ(status, absl::OkStatus());
    EXPECT_EQ(next, buckets.size());
    EXPECT_TRUE(SameBits(announced, run.device_gradients->Download())) << "bucket_bytes " << bucket_bytes;
  }
}

TEST_P(ModelTest, TheLastLayersBucketIsAnnouncedBeforeTheFirstLayersGradientExists) {
  const ModelRun run = Prepare({"lenet", {}, kMnist, 2, 2, 4096});
  ASSERT_EQ(Forward(run), absl::OkStatus());
  bool first_layer_was_untouched = false;
  ASSERT_EQ(Backward(run,
                     [&](const Bucket& bucket) {
                       if (bucket.id == 0) {
                         first_layer_was_untouched = std::isnan(run.device_gradients->Download().back());
                       }
                       return absl::OkStatus();
                     }),
            absl::OkStatus());
  EXPECT_TRUE(first_layer_was_untouched);
  EXPECT_FALSE(std::isnan(run.device_gradients->Download().back()));
}

TEST_P(ModelTest, AListenersStatusEndsBackwardAndIsReturned) {
  const ModelRun run = Prepare({"lenet", {}, kSmall, 2, 2, 4096});
  ASSERT_EQ(Forward(run), absl::OkStatus());
  int calls = 0;
  const absl::Status status = Backward(run, [&](const Bucket&) {
    ++calls;
    return absl::AbortedError("peer is gone");
  });
  EXPECT_EQ(status, absl::AbortedError("peer is gone"));
  EXPECT_EQ(calls, 1);
}

TEST_P(ModelTest, ForwardAndBackwardRepeatTheirBitsWhateverRanBetween) {
  const ModelCase from{"lenet", {}, kMnist, 19, 32};
  const ModelRun run = Prepare(from);
  const std::vector<float> first = Gradients(run);
  const auto first_score = run.model->Score();
  ASSERT_TRUE(first_score.ok()) << first_score.status();
  // Another batch, smaller, through the same model.
  BatchView other = run.batch();
  other.count = 3;
  other.features += 5 * from.shape.features();
  ASSERT_EQ(run.model->Forward(other, run.weight_arena(kernels().place())), absl::OkStatus());
  const std::vector<float> again = Gradients(run);
  const auto second_score = run.model->Score();
  ASSERT_TRUE(second_score.ok()) << second_score.status();
  EXPECT_TRUE(SameBits(first, again));
  EXPECT_EQ(first_score->loss_sum, second_score->loss_sum);
}

TEST_P(ModelTest, InitialWeightsAreTheSameOnEveryLibraryAndFollowTheSeed) {
  const auto model = Create({"lenet", {}, kMnist, 1, 1});
  ASSERT_TRUE(model.ok()) << model.status();
  ModelSpec spec;
  spec.set_name("lenet");
  ReferenceLibrary reference;
  const auto other = CreateModel(spec, {kMnist, 8, 1 << 20}, reference);
  ASSERT_TRUE(other.ok()) << other.status();
  std::vector<float> here((*model)->layout().count()), there(here.size()), reseeded(here.size());
  (*model)->InitWeights(5, absl::MakeSpan(here));
  (*other)->InitWeights(5, absl::MakeSpan(there));
  (*model)->InitWeights(6, absl::MakeSpan(reseeded));
  EXPECT_TRUE(SameBits(here, there));
  std::set<float> starts;  // of each tensor, in its bounds: different, as each has a stream of its own
  for (const Param& param : (*model)->layout().params()) {
    const int64_t fan_in = param.name == "fc2.weight" || param.name == "fc2.bias"         ? 500
                           : param.name == "fc1.weight" || param.name == "fc1.bias"       ? 800
                           : param.name == "conv2.weight" || param.name == "conv2.bias"   ? 500
                                                                                          : 25;
    const double bound = std::sqrt(1.0 / static_cast<double>(fan_in));
    starts.insert(static_cast<float>(here[param.begin] / bound));
    double largest = 0;
    int64_t equal = 0;
    for (int64_t i = param.begin; i < param.begin + param.count; ++i) {
      largest = std::max(largest, std::fabs(static_cast<double>(here[i])));
      if (here[i] == reseeded[i]) ++equal;
    }
    EXPECT_LE(largest, bound * (1 + 1e-6)) << param.name;
    // Of n uniform numbers the largest falls below half the bound with probability 2^-n, n >= 10.
    EXPECT_GT(largest, 0.5 * bound) << param.name;
    EXPECT_LT(equal, 1 + param.count / 1000) << param.name << " does not follow the seed";
  }
  EXPECT_EQ(starts.size(), (*model)->layout().params().size());
}

TEST_P(ModelTest, ScoreCountsExactlyTheSamplesWhoseLabelHasTheLargestLogit) {
  const ModelCase from{"mlp", {}, {1, 1, 2, 2}, 4, 4};
  ModelRun run = Prepare(from);
  // Logits are the two features: weight identity, bias zero.
  run.weights = {1, 0, 0, 1, 0, 0};
  run.device_weights = std::make_unique<DeviceArray<float>>(kernels(), run.weights);
  run.device_features =
      std::make_unique<DeviceArray<float>>(kernels(), std::vector<float>{1, 0, 0, 1, 2, 2, 2, 2});
  run.labels = {0, 0, 0, 1};
  run.device_labels = std::make_unique<DeviceArray<int32_t>>(kernels(), run.labels);
  ASSERT_EQ(Forward(run), absl::OkStatus());
  const auto score = run.model->Score();
  ASSERT_TRUE(score.ok()) << score.status();
  EXPECT_EQ(score->correct, 2);
  EXPECT_NEAR(score->loss_sum, std::log(1 + std::exp(-1.0)) + std::log(1 + std::exp(1.0)) + 2 * std::log(2.0), 1e-5);
  // Row by row: the same losses, and of equal logits the first.
  std::vector<float> losses(4);
  std::vector<int32_t> predictions(4);
  ASSERT_EQ(run.model->ScoreRows(absl::MakeSpan(losses), absl::MakeSpan(predictions)), absl::OkStatus());
  EXPECT_EQ(predictions, (std::vector<int32_t>{0, 1, 0, 0}));
  EXPECT_EQ(losses[0] + static_cast<double>(losses[1]) + losses[2] + losses[3], score->loss_sum);
}

TEST_P(ModelTest, WrongSizesAndOrdersOfCallsAreRefused) {
  ModelRun run = Prepare({"lenet", {}, kSmall, 2, 2});
  const Place place = kernels().place();
  const auto ready = [](const Bucket&) { return absl::OkStatus(); };
  EXPECT_EQ(Backward(run, ready).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(run.model->Score().status().code(), absl::StatusCode::kFailedPrecondition);
  BatchView large = run.batch();
  large.count = 3;
  EXPECT_EQ(run.model->Forward(large, run.weight_arena(place)).code(), absl::StatusCode::kInvalidArgument);
  TensorView short_arena = run.weight_arena(place);
  short_arena.cols -= 1;
  EXPECT_EQ(run.model->Forward(run.batch(), short_arena).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(Forward(run), absl::OkStatus());
  EXPECT_EQ(run.model->Backward(run.weight_arena(place), short_arena, ready).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Backward(run, ready), absl::OkStatus());
  EXPECT_EQ(Backward(run, ready).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(ModelTest, SamplesAModelCannotTakeAreNamedWithWhatItCan) {
  const auto expect_refused = [&](const ModelCase& from, const std::string& names) {
    const auto model = Create(from);
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument) << names;
    EXPECT_NE(model.status().message().find(names), absl::string_view::npos) << model.status();
  };
  expect_refused({"lenet", {}, {1, 30, 28, 10}, 1, 1}, "1x30x28");
  expect_refused({"lenet", {}, {1, 28, 12, 10}, 1, 1}, "1x28x12");
  expect_refused({"lenet", {}, {0, 28, 28, 10}, 1, 1}, "0x28x28");
  expect_refused({"lenet", {}, kMnist, 1, 0}, "batches of 0");
  expect_refused({"lenet", {}, kMnist, 1, 1, 3}, "bucket_bytes=3");
  expect_refused({"mlp", {100, 0}, kMnist, 1, 1}, "hidden layer 2 of size 0");
  expect_refused({"mlp", {}, {1, 28, 28, 0}, 1, 1}, "0 classes");
  expect_refused({"cnn", {}, {1, 30, 28, 10}, 1, 1}, "1x30x28");
  expect_refused({"vgg", {}, kMnist, 1, 1}, "known are lenet, mlp");
  expect_refused({"cnn", {}, {0, 0, 0, 256, 64}, 1, 1}, "texts of 64 tokens: it takes images");
}

}  // namespace ringmaster
