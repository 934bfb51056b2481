#ifndef RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_TEST_GRADIENTS_H_
#define RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_TEST_GRADIENTS_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "experiments/study/simulate/worker_gradients.h"

namespace ringmaster {

// Fills the scaled gradient of one bucket, [bucket.count], from the worker's weights,
// [layout.count()].
using GradientOfWeights =
    std::function<void(int32_t rank, int64_t step, absl::Span<const float> weights,
                       const Bucket& bucket, absl::Span<float> out)>;

// Gradients by a function, at once. `observe` is told that a rank begins to compute a step.
class TestGradients : public WorkerGradients {
 public:
  TestGradients(const ParamLayout& layout, GradientOfWeights gradient,
                std::function<void(int32_t rank, int64_t step)> observe)
      : layout_(layout), gradient_(std::move(gradient)), observe_(std::move(observe)) {}

  void Start(const GradientTask& task) override {
    observe_(task.rank, task.step);
    for (const Bucket& bucket : layout_.buckets()) {
      gradient_(task.rank, task.step, task.weights, bucket,
                task.gradients.subspan(bucket.begin, bucket.count));
    }
  }
  absl::StatusOr<double> Await(int32_t rank) override { return 0; }

 private:
  const ParamLayout& layout_;
  const GradientOfWeights gradient_;
  const std::function<void(int32_t rank, int64_t step)> observe_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_TEST_GRADIENTS_H_
