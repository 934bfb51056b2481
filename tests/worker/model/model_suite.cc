#include "tests/worker/model/model_suite.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "worker/kernels/reference/reference_library.h"

namespace ringmaster {

ModelSpec ModelCase::spec() const {
  ModelSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(settings, &spec)) << settings;
  spec.set_name(model);
  for (int32_t size : hidden) spec.add_mlp_hidden(size);
  return spec;
}

std::vector<ModelCase> SmallModels() {
  const auto small = [](const char* model, const SampleShape& shape, const char* settings) {
    return ModelCase{model, {}, shape, 3, 4, 4096, settings};
  };
  return {
      {"mlp", {33, 17}, {2, 5, 3, 4}, 3, 4, 4096},
      small("lenet", kSmall, ""),
      small("cnn", {2, 4, 8, 10}, ""),
      small("resnet", {1, 8, 11, 5}, "resnet { blocks: 1 width: 4 norm: 'batch' }"),
      small("resnet", {2, 9, 8, 5}, "resnet { blocks: 2 width: 4 norm: 'group' groups: 2 }"),
      small("transformer", kText, "transformer { layers: 2 width: 8 heads: 2 }"),
      small("transformer", kText,
            "transformer { layers: 1 width: 6 heads: 3 tied_head: true } dropout: 0.25"),
  };
}

void ModelTest::SetUp() {
  const uint64_t seed = 1 + GTEST_FLAG_GET(random_seed);
  std::printf("seed: --gtest_random_seed=%llu\n", static_cast<unsigned long long>(seed - 1));
  random_ = Random(seed);
  auto kernels = GetParam().create();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  kernels_ = *std::move(kernels);
}

absl::StatusOr<std::unique_ptr<Model>> ModelTest::Create(const ModelCase& from) {
  return CreateModel(
      from.spec(), {from.shape, from.max_batch, from.bucket_bytes, from.bucket_layout}, kernels());
}

void ModelTest::MoveOffTheStart(const ParamLayout& layout, std::vector<float>* weights) {
  for (const Param& param : layout.params()) {
    for (int64_t i = param.begin; i < param.begin + param.count; ++i) {
      // A running variance stays positive.
      (*weights)[i] += param.statistic ? random_.Uniform() : 0.3f * random_.Normal();
    }
  }
}

ModelRun ModelTest::Prepare(const ModelCase& from) {
  ModelRun run;
  auto model = Create(from);
  EXPECT_TRUE(model.ok()) << model.status();
  run.model = *std::move(model);
  run.weights.resize(run.model->layout().count());
  run.model->InitWeights(random_.Next(), absl::MakeSpan(run.weights));
  if (from.model == "transformer" || from.model == "resnet")
    MoveOffTheStart(run.model->layout(), &run.weights);
  run.count = from.batch;
  run.dropout_seed = random_.Next();
  if (from.shape.context > 0) {
    run.tokens.resize(from.batch * from.shape.context);
    for (int32_t& token : run.tokens)
      token = static_cast<int32_t>(random_.Below(from.shape.classes));
  } else {
    run.features.resize(from.batch * from.shape.features());
    for (float& feature : run.features) feature = random_.Normal();
  }
  run.labels.resize(from.batch * from.shape.labels());
  for (int32_t& label : run.labels) label = static_cast<int32_t>(random_.Below(from.shape.classes));
  run.device_weights = std::make_unique<DeviceArray<float>>(kernels(), run.weights);
  run.device_features = std::make_unique<DeviceArray<float>>(kernels(), run.features);
  run.device_tokens = std::make_unique<DeviceArray<int32_t>>(kernels(), run.tokens);
  run.device_labels = std::make_unique<DeviceArray<int32_t>>(kernels(), run.labels);
  run.device_gradients = std::make_unique<DeviceArray<float>>(
      DeviceArray<float>::Poisoned(kernels(), run.model->layout().count()));
  return run;
}

absl::Status ModelTest::Forward(const ModelRun& run) {
  return run.model->Forward(run.batch(), run.weight_arena(kernels().place()));
}

absl::Status ModelTest::Backward(const ModelRun& run, BucketReady ready) {
  return run.model->Backward(run.weight_arena(kernels().place()),
                             run.gradient_arena(kernels().place()), ready);
}

std::vector<float> ModelTest::Gradients(const ModelRun& run) {
  EXPECT_EQ(Forward(run), absl::OkStatus());
  EXPECT_EQ(Backward(run, [](const Bucket&) { return absl::OkStatus(); }), absl::OkStatus());
  return run.device_gradients->Download();
}

double ModelTest::EvaluationLoss(const ModelRun& run) {
  BatchView batch = run.batch();
  batch.training = false;
  EXPECT_EQ(run.model->Forward(batch, run.weight_arena(kernels().place())), absl::OkStatus());
  const auto score = run.model->Score();
  EXPECT_TRUE(score.ok()) << score.status();
  return score->loss_sum;
}

TEST_P(ModelTest, LenetOnMnistHas431080ParametersLastLayerFirst) {
  const auto model = Create({"lenet", {}, kMnist, 1, 1});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->layout().count(), 431080);
  std::vector<std::string> names;
  for (const Param& param : (*model)->layout().params()) {
    names.push_back(absl::StrCat(param.name, " ", absl::StrJoin(param.shape, "x")));
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"fc2.weight 10x500", "fc2.bias 10", "fc1.weight 500x800",
                                      "fc1.bias 500", "conv2.bias 50", "conv2.weight 50x20x5x5",
                                      "conv1.bias 20", "conv1.weight 20x1x5x5"}));
}

TEST_P(ModelTest, CnnOnMnistHas3274634Parameters) {
  const auto model = Create({"cnn", {}, kMnist, 1, 1});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->layout().count(), 3274634);
  EXPECT_EQ((*model)->layout().params()[2].name, "fc1.weight");
  EXPECT_EQ((*model)->layout().params()[2].shape, (std::vector<int64_t>{1024, 3136}));
}

TEST_P(ModelTest, EveryBucketIsAnnouncedOnceInOrderAndWithItsFinalBits) {
  std::vector<ModelCase> cases = {{"mlp", {3}, {1, 2, 2, 2}, 2, 2, 4}};  // one float a bucket
  for (const int64_t bucket_bytes : {int64_t{512}, int64_t{100000}, int64_t{64} << 20}) {
    for (ModelCase from : SmallModels()) {
      // The reference copies all gradients for each bucket: no tiny ones for large models.
      if (bucket_bytes == 512 && (from.model == "lenet" || from.model == "cnn"))
        from.bucket_bytes = 40000;
      else
        from.bucket_bytes = bucket_bytes;
      cases.push_back(from);
    }
  }
  for (ModelCase from : SmallModels()) {
    from.bucket_bytes = 4;  // a tensor a bucket
    from.bucket_layout = BucketLayout::kWholeTensors;
    cases.push_back(from);
  }
  for (const ModelCase& from : cases) {
    SCOPED_TRACE(absl::StrCat(from.model, " ", from.settings, " bucket_bytes ", from.bucket_bytes,
                              from.bucket_layout == BucketLayout::kCut ? " cut" : " whole"));
    const ModelRun run = Prepare(from);
    ASSERT_EQ(Forward(run), absl::OkStatus());
    const auto buckets = run.model->layout().buckets();
    std::vector<float> announced(run.model->layout().count());
    size_t next = 0;
    const absl::Status status = Backward(run, [&](const Bucket& bucket) -> absl::Status {
      if (next >= buckets.size() || bucket.id != buckets[next].id ||
          bucket.begin != buckets[next].begin) {
        return absl::InternalError(
            absl::StrCat("bucket ", bucket.id, " announced in place of ", next));
      }
      ++next;
      const std::vector<float> now = run.device_gradients->Download();
      std::copy(now.begin() + bucket.begin, now.begin() + bucket.end(),
                announced.begin() + bucket.begin);
      return absl::OkStatus();
    });
    ASSERT_EQ(status, absl::OkStatus());
    EXPECT_EQ(next, buckets.size());
    EXPECT_TRUE(SameBits(announced, run.device_gradients->Download()));
  }
}

TEST_P(ModelTest, TheLastLayersBucketIsAnnouncedBeforeTheFirstLayersGradientExists) {
  const ModelRun run = Prepare({"lenet", {}, kMnist, 2, 2, 4096});
  ASSERT_EQ(Forward(run), absl::OkStatus());
  bool first_layer_was_untouched = false;
  ASSERT_EQ(Backward(run,
                     [&](const Bucket& bucket) {
                       if (bucket.id == 0) {
                         first_layer_was_untouched =
                             std::isnan(run.device_gradients->Download().back());
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
  // of each tensor, in its bounds: different, as each has a stream of its own
  std::set<float> starts;
  for (const Param& param : (*model)->layout().params()) {
    const int64_t fan_in = param.name == "fc2.weight" || param.name == "fc2.bias"       ? 500
                           : param.name == "fc1.weight" || param.name == "fc1.bias"     ? 800
                           : param.name == "conv2.weight" || param.name == "conv2.bias" ? 500
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
  EXPECT_NEAR(score->loss_sum,
              std::log(1 + std::exp(-1.0)) + std::log(1 + std::exp(1.0)) + 2 * std::log(2.0), 1e-5);
  // Row by row: the same losses, and of equal logits the first.
  std::vector<float> losses(4);
  std::vector<int32_t> predictions(4);
  ASSERT_EQ(run.model->ScoreRows(absl::MakeSpan(losses), absl::MakeSpan(predictions)),
            absl::OkStatus());
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
  EXPECT_EQ(run.model->Forward(large, run.weight_arena(place)).code(),
            absl::StatusCode::kInvalidArgument);
  TensorView short_arena = run.weight_arena(place);
  short_arena.cols -= 1;
  EXPECT_EQ(run.model->Forward(run.batch(), short_arena).code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(Forward(run), absl::OkStatus());
  EXPECT_EQ(run.model->Backward(run.weight_arena(place), short_arena, ready).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Backward(run, ready), absl::OkStatus());
  EXPECT_EQ(Backward(run, ready).code(), absl::StatusCode::kFailedPrecondition);
  EvaluationLoss(run);
  EXPECT_EQ(Backward(run, ready).code(), absl::StatusCode::kFailedPrecondition);
  BatchView without = run.batch();
  without.features = nullptr;
  EXPECT_EQ(run.model->Forward(without, run.weight_arena(place)).code(),
            absl::StatusCode::kInvalidArgument);
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
  expect_refused({"mlp", {}, {0, 0, 0, 256, 64}, 1, 1}, "models for texts are transformer");
  const std::string small = "transformer { layers: 1 width: 6 heads: 2 }";
  expect_refused({"transformer", {}, kMnist, 1, 1, 64, small},
                 "1x28x28: it takes texts; models for images are lenet");
  expect_refused(
      {"transformer", {}, kText, 1, 1, 64, "transformer { layers: 1 width: 6 heads: 4 }"},
      "4 heads");
  expect_refused({"transformer", {}, kText, 1, 0, 64, small}, "batches of 0");
  expect_refused({"transformer", {}, kText, 1, 1, 64, small + "dropout: 1"}, "model.dropout = 1");
  expect_refused(
      {"resnet", {}, {3, 7, 8, 10}, 1, 1, 64, "resnet { blocks: 1 width: 4 norm: 'batch' }"},
      "3x7x8");
  expect_refused(
      {"resnet", {}, kMnist, 1, 1, 64, "resnet { blocks: 1 width: 4 norm: 'group' groups: 3 }"},
      "groups = 3: expected a divisor of model.resnet.width = 4");
  expect_refused({"resnet", {}, kMnist, 1, 1, 64, "resnet { blocks: 1 width: 4 norm: 'none' }"},
                 "known are batch");
}

}  // namespace ringmaster
