// Segments of "cublas" on GPU 0: replayed as CUDA graphs, with the bits of the same calls made one
// by one.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/gpu/cublas_fixture.h"
#include "worker/model/model.h"

namespace ringmaster {
namespace {

constexpr int64_t kBatch = 24;

// A model of the library with a batch, weights and gradients in its place.
class OnDevice {
 public:
  OnDevice(KernelLibrary& kernels, const ModelSpec& spec, const SampleShape& shape)
      : kernels_(kernels) {
    ModelOptions options;
    options.shape = shape;
    options.max_batch = kBatch;
    options.bucket_bytes = 4096;
    auto model = CreateModel(spec, options, kernels);
    if (!model.ok()) ADD_FAILURE() << model.status();
    model_ = *std::move(model);
    std::vector<float> weights(model_->layout().count());
    model_->InitWeights(1, absl::MakeSpan(weights));
    weights_ = std::make_unique<Floats>(kernels, weights);
    gradients_ = std::make_unique<Floats>(Floats::Poisoned(kernels, model_->layout().count()));
    Random random(2);
    std::vector<float> features(kBatch * shape.features());
    for (float& feature : features) feature = 2.0f * random.Uniform() - 1.0f;
    features_ = std::make_unique<Floats>(kernels, features);
    std::vector<int32_t> labels(kBatch * shape.labels());
    for (int32_t& label : labels) label = static_cast<int32_t>(random.Below(shape.classes));
    labels_ = std::make_unique<Ints>(kernels, labels);
  }

  int64_t buckets() const { return static_cast<int64_t>(model_->layout().buckets().size()); }

  // The gradients of a step on `count` samples.
  std::vector<float> Step(int64_t count, uint64_t seed) {
    BatchView batch;
    batch.features = features_->data();
    batch.tokens = labels_->data();
    batch.labels = labels_->data();
    batch.count = count;
    batch.training = true;
    batch.dropout_seed = seed;
    const int64_t parameters = model_->layout().count();
    const TensorView weights{weights_->data(), 1, parameters, Place::kDevice};
    const TensorView gradients{gradients_->data(), 1, parameters, Place::kDevice};
    EXPECT_EQ(model_->Forward(batch, weights), absl::OkStatus());
    EXPECT_EQ(model_->Backward(weights, gradients, [](const Bucket&) { return absl::OkStatus(); }),
              absl::OkStatus());
    return gradients_->Download();
  }

 private:
  KernelLibrary& kernels_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Floats> weights_, gradients_, features_;
  std::unique_ptr<Ints> labels_;
};

ModelSpec SpecOf(const char* name) {
  ModelSpec spec;
  spec.set_name(name);
  if (spec.name() == "mlp") spec.add_mlp_hidden(70);
  if (spec.name() == "transformer") {
    spec.mutable_transformer()->set_layers(2);
    spec.mutable_transformer()->set_width(36);
    spec.mutable_transformer()->set_heads(3);
  }
  return spec;
}

SampleShape ShapeOf(const ModelSpec& spec) {
  SampleShape shape{1, 28, 28, 10};
  if (spec.name() != "transformer") return shape;
  shape = SampleShape{1, 1, 1, 23};
  shape.context = 20;
  return shape;
}

void ExpectSameBits(const std::vector<float>& one, const std::vector<float>& other) {
  ASSERT_EQ(one.size(), other.size());
  EXPECT_EQ(std::memcmp(one.data(), other.data(), one.size() * sizeof(float)), 0);
}

class CublasSegments : public CublasLibraryTest,
                       public ::testing::WithParamInterface<const char*> {};

TEST_P(CublasSegments, AreReplayedFromTheThirdStepOnWithTheBitsOfTheFirst) {
  const ModelSpec spec = SpecOf(GetParam());
  OnDevice model(kernels(), spec, ShapeOf(spec));
  const std::vector<float> first = model.Step(kBatch, 1);
  for (int step = 1; step < 6; ++step) ExpectSameBits(model.Step(kBatch, 1), first);
  const SegmentCounts counts = kernels().segment_counts();
  EXPECT_EQ(counts.refusal, "");
  EXPECT_GT(counts.kept, 1);
  EXPECT_EQ(counts.run, counts.kept);
  EXPECT_EQ(counts.replayed, 4 * counts.kept);
}

TEST_P(CublasSegments, OfAnotherBatchAreOthers) {
  const ModelSpec spec = SpecOf(GetParam());
  OnDevice model(kernels(), spec, ShapeOf(spec));
  const std::vector<float> large = model.Step(kBatch, 1), small = model.Step(kBatch / 2, 1);
  for (int step = 0; step < 4; ++step) {
    ExpectSameBits(model.Step(kBatch, 1), large);
    ExpectSameBits(model.Step(kBatch / 2, 1), small);
  }
  EXPECT_GT(kernels().segment_counts().replayed, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, CublasSegments,
                         ::testing::Values("mlp", "lenet", "cnn", "transformer"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(CublasLibraryTest, WithDropoutEachStepHasItsOwnMasks) {
  ModelSpec spec = SpecOf("mlp");
  spec.set_dropout(0.5f);
  OnDevice model(kernels(), spec, ShapeOf(spec));
  const std::vector<float> one = model.Step(kBatch, 1), two = model.Step(kBatch, 2);
  EXPECT_NE(one, two);
  ExpectSameBits(model.Step(kBatch, 1), one);
  ExpectSameBits(model.Step(kBatch, 2), two);
  ExpectSameBits(model.Step(kBatch, 1), one);
}

TEST_F(CublasLibraryTest, ASegmentsErrorIsHandedOnAndTheNextOneRuns) {
  Floats values(kernels(), std::vector<float>(100, -1.0f));
  const Operation relu = ReluCall{values.data(), 100};
  const Operations broken = {relu, ReluCall{values.data(), -1}};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(kernels().RunSegment(broken).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(values.Download(), std::vector<float>(100, -1.0f));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(kernels().RunSegment({&relu, 1}), absl::OkStatus());
  EXPECT_EQ(values.Download(), std::vector<float>(100, 0.0f));
  EXPECT_EQ(kernels().segment_counts().replayed, 1);
}

// Memory is allocated and freed in one thread while another captures.
TEST_F(CublasLibraryTest, AnotherThreadMayAllocateDuringACapture) {
  std::thread other([] {
    auto own = CreateCublas();
    ASSERT_TRUE(own.ok()) << own.status();
    for (int i = 0; i < 200; ++i) EXPECT_TRUE((*own)->Allocate(1 << 20).ok());
  });
  const ModelSpec spec = SpecOf("mlp");
  for (int i = 0; i < 20; ++i) {
    OnDevice model(kernels(), spec, ShapeOf(spec));
    for (int step = 0; step < 3; ++step) model.Step(kBatch, 1);
  }
  other.join();
  EXPECT_EQ(kernels().segment_counts().refusal, "");
}

}  // namespace
}  // namespace ringmaster
