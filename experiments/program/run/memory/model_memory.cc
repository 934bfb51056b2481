#include "experiments/program/run/memory/model_memory.h"

#include <memory>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"
#include "worker/kernels/kernel_library.h"
#include "worker/kernels/registry.h"
#include "worker/loop/worker_setup.h"
#include "worker/model/model.h"

namespace ringmaster {
namespace {

// Kernels that count the memory they are asked for, and compute nothing.
class CountedKernels final : public KernelLibrary {
 public:
  explicit CountedKernels(KernelLibrary& real) : real_(real) {}

  int64_t asked_bytes() const { return asked_bytes_; }

  absl::StatusOr<Buffer> Allocate(int64_t size_bytes) override {
    asked_bytes_ += size_bytes;
    return real_.Allocate(size_bytes);
  }
  absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) override {
    return Allocate(size_bytes);
  }

  absl::string_view name() const override { return real_.name(); }
  Place place() const override { return real_.place(); }
  std::string target() const override { return real_.target(); }
  int64_t fast_scratch_bytes() const override { return real_.fast_scratch_bytes(); }
  int64_t convolution_scratch_floats(const ConvShape& largest, int64_t channels) const override {
    return real_.convolution_scratch_floats(largest, channels);
  }
  int64_t attention_scratch_floats(const AttentionShape& shape) const override {
    return real_.attention_scratch_floats(shape);
  }
  int64_t encode_scratch_bytes(EncodeKind kind, int64_t count) const override {
    return real_.encode_scratch_bytes(kind, count);
  }
  SegmentCounts segment_counts() const override { return real_.segment_counts(); }
  absl::Status CopyToHost(const void*, void*, int64_t) override { return Never(); }
  absl::Status CopyFromHost(const void*, void*, int64_t) override { return Never(); }
  absl::Status StartCopyToHost(const SideCopy&) override { return Never(); }
  absl::Status StartCopyFromHost(const SideCopy&) override { return Never(); }
  absl::StatusOr<std::unique_ptr<WorkPoint>> CreatePoint() override { return real_.CreatePoint(); }
  absl::Status Mark(WorkPoint&) override { return Never(); }
  absl::Status OrderAfter(WorkPoint&) override { return Never(); }
  absl::Status Finish() override { return absl::OkStatus(); }

 protected:
  absl::Status Make(const Operation&) override { return Never(); }
  absl::Status MakeSegment(absl::Span<const Operation>) override { return Never(); }

 private:
  static absl::Status Never() {
    return absl::InternalError("a model that is only counted was asked to compute");
  }

  KernelLibrary& real_;
  int64_t asked_bytes_ = 0;
};

}  // namespace

bool RunsOnGpu(absl::string_view kernels) {
  return kernels == "cublas" || kernels == "cublas_tf32" ||
         (kernels == "auto" && CudaDeviceCount().ok());
}

absl::StatusOr<int64_t> ModelMemoryBytes(const RunSpec& resolved, const SampleShape& shape) {
  const TrainingSpec& training = resolved.training();
  // Making a GPU's library would take time and memory of the GPU.
  if (RunsOnGpu(training.kernels())) return 0;
  RM_ASSIGN_OR_RETURN(const auto real, CreateKernelLibrary(training.kernels(), /*device=*/0));
  CountedKernels kernels(*real);
  ModelOptions options;
  options.shape = shape;
  // Where nothing is scored no batch of an evaluation comes.
  options.max_batch = training.has_emulated_compute() ? 1
                      : IsScored(resolved) || resolved.has_evaluation()
                          ? LargestBatch(training.batch_per_worker(), shape)
                          : training.batch_per_worker();
  options.bucket_bytes = training.bucket_bytes();
  options.bucket_layout = BucketLayoutOf(training);
  RM_RETURN_IF_ERROR(CreateModel(resolved.model(), options, kernels).status());
  return kernels.asked_bytes();
}

}  // namespace ringmaster
