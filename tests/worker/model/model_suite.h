#ifndef RINGMASTER_TESTS_WORKER_MODEL_MODEL_SUITE_H_
#define RINGMASTER_TESTS_WORKER_MODEL_MODEL_SUITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/kernel_under_test.h"
#include "tests/worker/model/double_network.h"
#include "worker/model/model.h"

namespace ringmaster {

// A model with a random batch and its arenas in the library's place.
struct ModelRun {
  std::unique_ptr<Model> model;
  std::vector<float> weights;   // as on the device
  std::vector<float> features;  // of images
  std::vector<int32_t> tokens;  // of texts
  std::vector<int32_t> labels;
  int64_t count = 0;
  uint64_t dropout_seed = 0;
  std::unique_ptr<DeviceArray<float>> device_weights, device_features, device_gradients;
  std::unique_ptr<DeviceArray<int32_t>> device_tokens, device_labels;

  // For training.
  BatchView batch() const {
    return {device_features->data(),
            device_labels->data(),
            count,
            device_tokens->data(),
            true,
            dropout_seed};
  }
  TensorView weight_arena(Place place) const {
    return {device_weights->data(), 1, device_weights->count(), place};
  }
  TensorView gradient_arena(Place place) const {
    return {device_gradients->data(), 1, device_gradients->count(), place};
  }
};

struct ModelCase {
  std::string model;
  std::vector<int32_t> hidden;  // of "mlp"
  SampleShape shape;
  int64_t batch = 1;
  int64_t max_batch = 1;
  int64_t bucket_bytes = 64 << 10;
  std::string settings;  // more fields of the model's spec, as text
  BucketLayout bucket_layout = BucketLayout::kCut;

  ModelSpec spec() const;
};

// Samples of a few sizes.
inline const SampleShape kMnist{1, 28, 28, 10};
inline const SampleShape kSmall{1, 16, 16, 10};
inline const SampleShape kColour{3, 16, 20, 7};
inline const SampleShape kText{0, 0, 0, 11, 6};

// A small one of each model, all made in no time.
std::vector<ModelCase> SmallModels();

// The models on any kernel library: losses and gradients against the same network in double
// precision, buckets, bits. A test program links :model_suite and writes
//   INSTANTIATE_TEST_SUITE_P(Cpu, ModelTest,
//                            ::testing::Values(KernelUnderTest{"cpu", CreateCpuLibrary}));
class ModelTest : public ::testing::TestWithParam<KernelUnderTest> {
 protected:
  void SetUp() override;

  absl::StatusOr<std::unique_ptr<Model>> Create(const ModelCase& from);
  // A model with weights from a seed and a random batch; gradients are poisoned with NaN. Where all
  // norms' gains are 1 and all biases 0 at the start, all weights are moved off it, so that nothing
  // is right by being left out.
  ModelRun Prepare(const ModelCase& from);
  absl::Status Forward(const ModelRun& run);
  absl::Status Backward(const ModelRun& run, BucketReady ready);
  // Forward and Backward; the gradients on the host.
  std::vector<float> Gradients(const ModelRun& run);

  // Forward of the batch as an evaluation has it; the sum of losses.
  double EvaluationLoss(const ModelRun& run);

  KernelLibrary& kernels() { return *kernels_; }
  Random random_{0};

 private:
  void MoveOffTheStart(const ParamLayout& layout, std::vector<float>* weights);

  std::unique_ptr<KernelLibrary> kernels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_MODEL_MODEL_SUITE_H_
