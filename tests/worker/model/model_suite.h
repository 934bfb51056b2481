#ifndef RINGMASTER_TESTS_WORKER_MODEL_MODEL_SUITE_H_
#define RINGMASTER_TESTS_WORKER_MODEL_MODEL_SUITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/kernel_under_test.h"
#include "tests/worker/model/double_network.h"
#include "worker/model/model.h"

namespace ringmaster {

// A model with a random batch and its arenas in the library's place.
struct ModelRun {
  std::unique_ptr<Model> model;
  std::vector<float> weights;  // as on the device
  std::vector<float> features;
  std::vector<int32_t> labels;
  std::unique_ptr<DeviceArray<float>> device_weights, device_features, device_gradients;
  std::unique_ptr<DeviceArray<int32_t>> device_labels;

  BatchView batch() const {
    return {device_features->data(), device_labels->data(), static_cast<int64_t>(labels.size())};
  }
  TensorView weight_arena(Place place) const { return {device_weights->data(), 1, device_weights->count(), place}; }
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
};

// The models on any kernel library: losses and gradients against the same network in double precision, buckets, bits. A
// test program links :model_suite and writes
//   INSTANTIATE_TEST_SUITE_P(Cpu, ModelTest, ::testing::Values(KernelUnderTest{"cpu", CreateCpuLibrary}));
class ModelTest : public ::testing::TestWithParam<KernelUnderTest> {
 protected:
  void SetUp() override;

  absl::StatusOr<std::unique_ptr<Model>> Create(const ModelCase& from);
  // A model with weights from a seed and a random batch; gradients are poisoned with NaN.
  ModelRun Prepare(const ModelCase& from);
  absl::Status Forward(const ModelRun& run);
  absl::Status Backward(const ModelRun& run, BucketReady ready);
  // Forward and Backward; the gradients on the host.
  std::vector<float> Gradients(const ModelRun& run);

  KernelLibrary& kernels() { return *kernels_; }
  Random random_{0};

 private:
  std::unique_ptr<KernelLibrary> kernels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_MODEL_MODEL_SUITE_H_
