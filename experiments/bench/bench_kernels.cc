#include "experiments/bench/bench_kernels.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "experiments/statistics/statistics.h"
#include "proto/run_spec.pb.h"
#include "worker/kernels/registry.h"
#include "worker/model/model.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int kWarmUps = 3;
// Calls in a sample of an operation that memory bounds: the gap before the first is then small beside them.
constexpr int kCallsInSample = 10;
constexpr double kMemoryGoal = 0.8, kProductGoal = 0.9;
// A row of the operations that have rows.
constexpr int64_t kColumns = 1024;
constexpr int32_t kClasses = 10;

using Work = absl::FunctionRef<absl::Status()>;

class Bench {
 public:
  Bench(const KernelBench& bench, KernelLibrary& kernels, const std::function<bool()>& interrupted,
        const std::function<void(const KernelRow&)>& sink)
      : bench_(bench), kernels_(kernels), interrupted_(interrupted), sink_(sink) {}

  absl::Status MemoryBound();
  absl::Status ProductBound();

 private:
  // Median seconds of one call of `work`.
  absl::StatusOr<double> Time(int calls, Work work) {
    std::vector<double> seconds;
    for (int i = 0; i < kWarmUps + bench_.repetitions; ++i) {
      if (interrupted_()) return absl::CancelledError("interrupted");
      RM_ASSIGN_OR_RETURN(const double sample, TimeCalls(kernels_, [&] {
        for (int call = 0; call < calls; ++call) RM_RETURN_IF_ERROR(work());
        return absl::OkStatus();
      }));
      if (i >= kWarmUps) seconds.push_back(sample / calls);
    }
    return Median(std::move(seconds));
  }

  // A line of an operation that moves `bytes` at the least; the first is the ceiling of the others.
  absl::Status Memory(const char* name, int64_t bytes, Work work) {
    RM_ASSIGN_OR_RETURN(const double seconds, Time(kCallsInSample, work));
    const double rate = static_cast<double>(bytes) / seconds / 1e9;
    const bool first = copy_rate_ == 0;
    if (first) copy_rate_ = rate;
    sink_({name, seconds * 1e3, rate, true, rate / copy_rate_, first ? 0 : kMemoryGoal});
    return absl::OkStatus();
  }

  absl::Status Elementwise(int64_t count, float* a, float* b);
  absl::Status Rows(int64_t count, float* a, float* b, float* c);
  absl::Status Images(int64_t count, float* a, float* b);
  absl::StatusOr<Buffer> RandomFloats(int64_t count);
  absl::StatusOr<double> TimeProducts(const float* a, const float* b, float* c);
  absl::StatusOr<double> TimeStep();

  const KernelBench bench_;
  KernelLibrary& kernels_;
  const std::function<bool()>& interrupted_;
  const std::function<void(const KernelRow&)>& sink_;
  double copy_rate_ = 0;  // 10^9 bytes a second
};

// In [-1, 1): products of zeros would draw less power, and so run faster, than those of a training step.
absl::StatusOr<Buffer> Bench::RandomFloats(int64_t count) {
  RM_ASSIGN_OR_RETURN(Buffer place, kernels_.Allocate(count * kFloatBytes));
  RM_ASSIGN_OR_RETURN(Buffer staging, kernels_.AllocateStaging(count * kFloatBytes));
  Random random(1);
  for (int64_t i = 0; i < count; ++i) staging.floats()[i] = 2.0f * random.Uniform() - 1.0f;
  RM_RETURN_IF_ERROR(kernels_.CopyFromHost(staging.data(), place.data(), count * kFloatBytes));
  RM_RETURN_IF_ERROR(kernels_.Finish());
  return place;
}

absl::Status Bench::Elementwise(int64_t count, float* a, float* b) {
  RM_RETURN_IF_ERROR(Memory("copy", 8 * count, [&] { return kernels_.CopyFloats(a, b, count); }));
  RM_RETURN_IF_ERROR(Memory("fill zero", 4 * count, [&] { return kernels_.FillZero(b, count); }));
  // Of zeros: other gradients would shrink from call to call, until a CPU computes with denormal numbers.
  RM_RETURN_IF_ERROR(Memory("gelu backward", 12 * count, [&] { return kernels_.GeluBackward({a, b, count}); }));
  RM_RETURN_IF_ERROR(Memory("add", 12 * count, [&] { return kernels_.Add({a, b, count}); }));
  RM_RETURN_IF_ERROR(Memory("relu", 8 * count, [&] { return kernels_.Relu({b, count}); }));
  RM_RETURN_IF_ERROR(Memory("relu backward", 12 * count, [&] { return kernels_.ReluBackward({a, b, count}); }));
  return Memory("dropout", 8 * count, [&] { return kernels_.Dropout({b, count, 0.1f, 1}); });
}

absl::Status Bench::Rows(int64_t count, float* a, float* b, float* c) {
  const int64_t rows = count / kColumns;
  RM_RETURN_IF_ERROR(Memory("gelu", 8 * count, [&] { return kernels_.Gelu({a, rows, kColumns, nullptr, b}); }));
  RM_RETURN_IF_ERROR(Memory("bias and relu", 8 * count, [&] {
    return kernels_.AddBias({b, rows, kColumns, c, BiasAxis::kPerColumn, true});
  }));
  RM_RETURN_IF_ERROR(Memory("bias gradient", 4 * count, [&] {
    return kernels_.BiasGradient({a, rows, kColumns, c, BiasAxis::kPerColumn});
  }));
  RM_RETURN_IF_ERROR(Memory("swap axes", 8 * count, [&] {
    return kernels_.SwapAxes({kColumns, rows / 64, 64, a, b});
  }));
  NormShape shape;
  shape.rows = rows;
  shape.features = kColumns;
  NormCall norm;
  norm.shape = shape;
  norm.input = a;
  norm.gain = norm.bias = c;
  norm.output = b;
  norm.mean = c + kColumns;
  norm.inverse_deviation = norm.mean + rows;
  RM_RETURN_IF_ERROR(Memory("layer norm", 8 * count, [&] { return kernels_.Norm(norm); }));
  RM_RETURN_IF_ERROR(Memory("layer norm, input gradient", 12 * count, [&] {
    return kernels_.NormInputGradient({shape, a, c, norm.mean, norm.inverse_deviation, a, b});
  }));
  float* const gradients = norm.inverse_deviation + rows;
  return Memory("layer norm, parameter gradient", 8 * count, [&] {
    return kernels_.NormParamGradient(
        {shape, a, norm.mean, norm.inverse_deviation, b, gradients, gradients + kColumns});
  });
}

// Images of 32 x 32 pixels.
absl::Status Bench::Images(int64_t count, float* a, float* b) {
  constexpr int64_t kSide = 32;
  const int64_t planes = count / (kSide * kSide);
  RM_ASSIGN_OR_RETURN(const Buffer argmax, kernels_.Allocate(count / 4));
  auto* const positions = reinterpret_cast<uint8_t*>(argmax.data());
  RM_RETURN_IF_ERROR(Memory("max pool", 21 * count / 4, [&] {
    return kernels_.MaxPool({planes, kSide, kSide, a, b, positions});
  }));
  RM_RETURN_IF_ERROR(Memory("max pool backward", 21 * count / 4, [&] {
    return kernels_.MaxPoolBackward({planes, kSide, kSide, a, positions, b});
  }));
  RM_RETURN_IF_ERROR(Memory("average pool", 4 * count, [&] {
    return kernels_.AveragePool({planes, kSide * kSide, a, b});
  }));
  // Nine columns a pixel, in an array of that size.
  ConvShape shape;
  shape.channels = 4;
  shape.images = planes / 9 / shape.channels;
  shape.height = shape.width = kSide;
  shape.kernel = 3;
  shape.padding = 1;
  const int64_t pixels = shape.channels * shape.images * kSide * kSide;
  RM_RETURN_IF_ERROR(Memory("im2col 3x3", 40 * pixels, [&] {
    return kernels_.Im2Col({shape, 0, shape.images, a, b});
  }));
  return Memory("col2im 3x3", 44 * pixels, [&] { return kernels_.Col2Im({shape, 0, shape.images, b, a}); });
}

absl::Status Bench::MemoryBound() {
  const int64_t count = bench_.array_bytes / kFloatBytes;
  RM_ASSIGN_OR_RETURN(const Buffer a, RandomFloats(count));
  RM_ASSIGN_OR_RETURN(const Buffer b, RandomFloats(count));
  // What belongs to rows and columns: bias, statistics, their gradients.
  RM_ASSIGN_OR_RETURN(const Buffer c, RandomFloats(2 * (count / kColumns) + 3 * kColumns));
  RM_RETURN_IF_ERROR(Elementwise(count, a.floats(), b.floats()));
  RM_RETURN_IF_ERROR(Rows(count, a.floats(), b.floats(), c.floats()));
  return Images(count, a.floats(), b.floats());
}

// Seconds of the products of forward and backward, as the model's linear layers call them and nothing between them.
absl::StatusOr<double> Bench::TimeProducts(const float* a, const float* b, float* c) {
  const int64_t rows = bench_.batch;
  const auto layer = [&](int64_t outputs, bool first) -> absl::Status {
    const int64_t inputs = bench_.width;
    RM_RETURN_IF_ERROR(kernels_.Gemm({false, true, rows, outputs, inputs, 1, a, inputs, b, inputs, 0, c, outputs}));
    RM_RETURN_IF_ERROR(kernels_.Gemm({true, false, outputs, inputs, rows, 1, a, outputs, b, inputs, 0, c, inputs}));
    if (first) return absl::OkStatus();
    return kernels_.Gemm({false, false, rows, inputs, outputs, 1, a, outputs, b, inputs, 0, c, inputs});
  };
  return Time(1, [&] {
    for (int64_t i = 0; i < bench_.layers; ++i) RM_RETURN_IF_ERROR(layer(bench_.width, i == 0));
    return layer(kClasses, false);
  });
}

absl::StatusOr<double> Bench::TimeStep() {
  ModelSpec spec;
  spec.set_name("mlp");
  for (int64_t i = 0; i < bench_.layers; ++i) spec.add_mlp_hidden(static_cast<int32_t>(bench_.width));
  ModelOptions options;
  options.shape = SampleShape{1, 1, static_cast<int32_t>(bench_.width), kClasses};
  options.max_batch = bench_.batch;
  options.bucket_bytes = int64_t{4} << 20;
  RM_ASSIGN_OR_RETURN(const auto model, CreateModel(spec, options, kernels_));
  const int64_t count = model->layout().count();
  RM_ASSIGN_OR_RETURN(const Buffer features, RandomFloats(bench_.batch * bench_.width));
  RM_ASSIGN_OR_RETURN(const Buffer labels, kernels_.Allocate(bench_.batch * static_cast<int64_t>(sizeof(int32_t))));
  RM_RETURN_IF_ERROR(kernels_.FillZero(reinterpret_cast<float*>(labels.data()), bench_.batch));  // class 0
  RM_ASSIGN_OR_RETURN(Buffer weights, kernels_.Allocate(count * kFloatBytes));
  RM_ASSIGN_OR_RETURN(Buffer gradients, kernels_.Allocate(count * kFloatBytes));
  RM_ASSIGN_OR_RETURN(Buffer staging, kernels_.AllocateStaging(count * kFloatBytes));
  model->InitWeights(1, absl::MakeSpan(staging.floats(), count));
  RM_RETURN_IF_ERROR(kernels_.CopyFromHost(staging.data(), weights.data(), count * kFloatBytes));
  BatchView batch;
  batch.features = features.floats();
  batch.labels = reinterpret_cast<const int32_t*>(labels.data());
  batch.count = bench_.batch;
  batch.training = true;
  const TensorView weight_view{weights.floats(), 1, count, kernels_.place()};
  const TensorView gradient_view{gradients.floats(), 1, count, kernels_.place()};
  return Time(1, [&]() -> absl::Status {
    RM_RETURN_IF_ERROR(model->Forward(batch, weight_view));
    return model->Backward(weight_view, gradient_view, [](const Bucket&) { return absl::OkStatus(); });
  });
}

absl::Status Bench::ProductBound() {
  const int64_t width = bench_.width, batch = bench_.batch;
  // Two operations a weight and sample, in each of three directions but for the first layer's, which has two.
  const double operations = 2.0 * static_cast<double>(batch) *
                            (static_cast<double>(3 * bench_.layers - 1) * static_cast<double>(width * width) +
                             3.0 * static_cast<double>(width * kClasses));
  double products = 0;
  {
    const int64_t largest = width * std::max<int64_t>({width, batch, kClasses});
    RM_ASSIGN_OR_RETURN(const Buffer a, RandomFloats(largest));
    RM_ASSIGN_OR_RETURN(const Buffer b, RandomFloats(largest));
    RM_ASSIGN_OR_RETURN(const Buffer c, RandomFloats(largest));
    RM_ASSIGN_OR_RETURN(products, TimeProducts(a.floats(), b.floats(), c.floats()));
  }
  sink_({"mlp products alone", products * 1e3, operations / products / 1e9, false, 1, 0});
  RM_ASSIGN_OR_RETURN(const double step, TimeStep());
  sink_({"mlp step", step * 1e3, operations / step / 1e9, false, products / step, kProductGoal});
  return absl::OkStatus();
}

}  // namespace

absl::Status RunKernelBench(const KernelBench& bench, KernelLibrary& kernels, const std::function<bool()>& interrupted,
                            const std::function<void(const KernelRow&)>& sink) {
  Bench run(bench, kernels, interrupted, sink);
  RM_RETURN_IF_ERROR(run.MemoryBound());
  return run.ProductBound();
}

}  // namespace ringmaster
