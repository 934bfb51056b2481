#include "experiments/proof/bench/bench_kernels.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "experiments/study/results/statistics.h"
#include "proto/model_spec.pb.h"
#include "worker/kernels/registry.h"
#include "worker/model/model.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int kWarmUps = 3;
// Calls in a sample of an operation that memory bounds: the gap before the first is then small
// beside them.
constexpr int kCallsInSample = 10;
constexpr double kMemoryGoal = 0.8, kProductGoal = 0.9;
// A row of the operations that have rows.
constexpr int64_t kColumns = 1024;
constexpr int32_t kClasses = 10;
constexpr int32_t kSymbols = 256;
// Of the tables that embeddings are looked up in, tokens and positions.
constexpr int32_t kTokens = 64;

using Work = absl::FunctionRef<absl::Status()>;

// A product of rows with weights [outputs, inputs], in two or three directions.
struct LinearLayer {
  int64_t inputs = 0, outputs = 0;
  bool has_input_gradient = true;
};

// A model's step beside the products of its linear layers.
struct StepBench {
  ModelSpec spec;
  SampleShape shape;
  std::vector<LinearLayer> layers;
  // a row is what a linear layer multiplies: a sample, or a token of one
  int64_t samples = 0, rows = 0;
  double other_operations = 0;  // of a step, beside those of the linear layers
  double goal = 0;
};

class Bench {
 public:
  Bench(const KernelBench& bench, KernelLibrary& kernels, const std::function<bool()>& interrupted,
        const std::function<void(const KernelRow&)>& sink)
      : bench_(bench), kernels_(kernels), interrupted_(interrupted), sink_(sink) {}

  absl::Status MemoryBound();
  absl::Status MlpStep();
  absl::Status TransformerStep();

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
  absl::Status Updates(int64_t count, float* weights, float* zeros);
  absl::Status Rows(int64_t count, float* a, float* b, float* c);
  absl::Status Labelled(int64_t count, float* a, float* b, float* c);
  absl::Status Images(int64_t count, float* a, float* b);
  absl::StatusOr<Buffer> RandomFloats(int64_t count);
  absl::StatusOr<Buffer> RandomClasses(int64_t count, int32_t classes);
  absl::StatusOr<double> TimeProducts(absl::Span<const LinearLayer> layers, int64_t rows);
  absl::StatusOr<double> TimeStep(const ModelSpec& spec, const SampleShape& shape, int64_t samples);
  absl::Status Step(const StepBench& step);

  const KernelBench bench_;
  KernelLibrary& kernels_;
  const std::function<bool()>& interrupted_;
  const std::function<void(const KernelRow&)>& sink_;
  double copy_rate_ = 0;  // 10^9 bytes a second
};

// In [-1, 1): products of zeros would draw less power, and so run faster, than those of a training
// step.
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
  RM_RETURN_IF_ERROR(Memory("copy", 8 * count, [&] {
    return kernels_.Run(CopyFloatsCall{a, b, count});
  }));
  RM_RETURN_IF_ERROR(Memory("fill zero", 4 * count, [&] {
    return kernels_.Run(FillZeroCall{b, count});
  }));
  // Of zeros: other gradients would shrink from call to call, until a CPU computes with denormal
  // numbers.
  RM_RETURN_IF_ERROR(Memory("gelu backward", 12 * count, [&] {
    return kernels_.Run(GeluBackwardCall{a, b, count});
  }));
  RM_RETURN_IF_ERROR(Memory("add", 12 * count, [&] { return kernels_.Run(AddCall{a, b, count}); }));
  RM_RETURN_IF_ERROR(Memory("relu", 8 * count, [&] { return kernels_.Run(ReluCall{b, count}); }));
  RM_RETURN_IF_ERROR(Memory("relu backward", 12 * count, [&] {
    return kernels_.Run(ReluBackwardCall{a, b, count});
  }));
  return Memory("dropout", 8 * count, [&] { return kernels_.Run(DropoutCall{b, count, 0.1f, 1}); });
}

// By gradients of zeros: others would drive the weights on from call to call, to infinity.
absl::Status Bench::Updates(int64_t count, float* weights, float* zeros) {
  RM_ASSIGN_OR_RETURN(const Buffer state, kernels_.Allocate(count * kFloatBytes));
  RM_RETURN_IF_ERROR(kernels_.Run(FillZeroCall{zeros, count}));
  RM_RETURN_IF_ERROR(kernels_.Run(FillZeroCall{state.floats(), count}));
  ElementUpdate update;
  update.rate = 0.01f;
  RM_RETURN_IF_ERROR(Memory("update, sgd", 12 * count, [&] {
    return kernels_.Run(UpdateCall{update, count, zeros, weights});
  }));
  update.kind = UpdateKind::kMomentum;
  update.momentum = 0.9f;
  RM_RETURN_IF_ERROR(Memory("update, momentum", 20 * count, [&] {
    return kernels_.Run(UpdateCall{update, count, zeros, weights, state.floats()});
  }));
  update.kind = UpdateKind::kAdam;
  update.adam = {0.9f, 0.1f, 0.999f, 0.001f, 1, 1e-8f, 0.01f};
  const int64_t half = count / 2;
  return Memory("update, adam", 28 * half, [&] {
    return kernels_.Run(
        UpdateCall{update, half, zeros, weights, state.floats(), state.floats() + half});
  });
}

absl::Status Bench::Rows(int64_t count, float* a, float* b, float* c) {
  const int64_t rows = count / kColumns;
  RM_RETURN_IF_ERROR(Memory("gelu", 8 * count, [&] {
    return kernels_.Run(GeluCall{a, rows, kColumns, nullptr, b});
  }));
  RM_RETURN_IF_ERROR(Memory("bias and relu", 8 * count, [&] {
    return kernels_.Run(BiasCall{b, rows, kColumns, c, BiasAxis::kPerColumn, true});
  }));
  RM_RETURN_IF_ERROR(Memory("bias gradient", 4 * count, [&] {
    return kernels_.Run(BiasGradientCall{a, rows, kColumns, c, BiasAxis::kPerColumn});
  }));
  RM_RETURN_IF_ERROR(Memory("swap axes", 8 * count, [&] {
    return kernels_.Run(SwapAxesCall{kColumns, rows / 64, 64, a, b});
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
  RM_RETURN_IF_ERROR(Memory("layer norm", 8 * count, [&] { return kernels_.Run(norm); }));
  RM_RETURN_IF_ERROR(Memory("layer norm, input gradient", 12 * count, [&] {
    return kernels_.Run(
        NormInputGradientCall{shape, a, c, norm.mean, norm.inverse_deviation, a, b});
  }));
  float* const gradients = norm.inverse_deviation + rows;
  return Memory("layer norm, parameter gradient", 8 * count, [&] {
    return kernels_.Run(NormParamGradientCall{shape, a, norm.mean, norm.inverse_deviation, b,
                                              gradients, gradients + kColumns});
  });
}

// Rows with a class or a token each.
absl::Status Bench::Labelled(int64_t count, float* a, float* b, float* c) {
  const int64_t rows = count / kColumns;
  RM_ASSIGN_OR_RETURN(const Buffer classes, RandomClasses(rows, kTokens));
  auto* const values = reinterpret_cast<const int32_t*>(classes.data());
  RM_RETURN_IF_ERROR(Memory("softmax and cross-entropy", 8 * count, [&] {
    return kernels_.Run(SoftmaxCrossEntropyCall{rows, kColumns, a, values, c, c + rows, b, 1.0f});
  }));
  // The tables are small beside what is looked up in them.
  float* const positions = a + kTokens * kColumns;
  RM_RETURN_IF_ERROR(Memory("embedding", 4 * count, [&] {
    return kernels_.Run(EmbeddingCall{rows, kTokens, kColumns, kTokens, values, a, positions, b});
  }));
  return Memory("embedding gradient", 4 * count, [&] {
    return kernels_.Run(
        EmbeddingGradientCall{rows, kTokens, kColumns, kTokens, values, b, a, positions, false});
  });
}

// Images of 32 x 32 pixels.
absl::Status Bench::Images(int64_t count, float* a, float* b) {
  constexpr int64_t kSide = 32;
  const int64_t planes = count / (kSide * kSide);
  RM_ASSIGN_OR_RETURN(const Buffer argmax, kernels_.Allocate(count / 4));
  auto* const positions = reinterpret_cast<uint8_t*>(argmax.data());
  RM_RETURN_IF_ERROR(Memory("max pool", 21 * count / 4, [&] {
    return kernels_.Run(MaxPoolCall{planes, kSide, kSide, a, b, positions});
  }));
  RM_RETURN_IF_ERROR(Memory("max pool backward", 21 * count / 4, [&] {
    return kernels_.Run(MaxPoolBackwardCall{planes, kSide, kSide, a, positions, b});
  }));
  RM_RETURN_IF_ERROR(Memory("average pool", 4 * count, [&] {
    return kernels_.Run(AveragePoolCall{planes, kSide * kSide, a, b});
  }));
  RM_RETURN_IF_ERROR(Memory("average pool backward", 4 * count, [&] {
    return kernels_.Run(AveragePoolBackwardCall{planes, kSide * kSide, b, a});
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
    return kernels_.Run(Im2ColCall{shape, 0, shape.images, a, b});
  }));
  return Memory("col2im 3x3", 44 * pixels, [&] {
    return kernels_.Run(Col2ImCall{shape, 0, shape.images, b, a});
  });
}

absl::Status Bench::MemoryBound() {
  const int64_t count = bench_.array_bytes / kFloatBytes;
  RM_ASSIGN_OR_RETURN(const Buffer a, RandomFloats(count));
  RM_ASSIGN_OR_RETURN(const Buffer b, RandomFloats(count));
  // What belongs to rows and columns: bias, statistics, their gradients.
  RM_ASSIGN_OR_RETURN(const Buffer c, RandomFloats(2 * (count / kColumns) + 3 * kColumns));
  RM_RETURN_IF_ERROR(Elementwise(count, a.floats(), b.floats()));
  RM_RETURN_IF_ERROR(Rows(count, a.floats(), b.floats(), c.floats()));
  RM_RETURN_IF_ERROR(Labelled(count, a.floats(), b.floats(), c.floats()));
  RM_RETURN_IF_ERROR(Images(count, a.floats(), b.floats()));
  return Updates(count, a.floats(), b.floats());
}

// Of labels, and of tokens: texts of one symbol would have one row of the table take all gradients.
absl::StatusOr<Buffer> Bench::RandomClasses(int64_t count, int32_t classes) {
  const int64_t bytes = count * static_cast<int64_t>(sizeof(int32_t));
  RM_ASSIGN_OR_RETURN(Buffer place, kernels_.Allocate(bytes));
  RM_ASSIGN_OR_RETURN(Buffer staging, kernels_.AllocateStaging(bytes));
  auto* const values = reinterpret_cast<int32_t*>(staging.data());
  Random random(1);
  for (int64_t i = 0; i < count; ++i) values[i] = static_cast<int32_t>(random.Below(classes));
  RM_RETURN_IF_ERROR(kernels_.CopyFromHost(staging.data(), place.data(), bytes));
  RM_RETURN_IF_ERROR(kernels_.Finish());
  return place;
}

// Seconds of the products of forward and backward, as linear layers on `rows` rows call them and
// nothing between them.
absl::StatusOr<double> Bench::TimeProducts(absl::Span<const LinearLayer> layers, int64_t rows) {
  int64_t largest = 0;
  for (const LinearLayer& layer : layers) {
    largest = std::max(
        {largest, rows * layer.inputs, rows * layer.outputs, layer.inputs * layer.outputs});
  }
  RM_ASSIGN_OR_RETURN(const Buffer a, RandomFloats(largest));
  RM_ASSIGN_OR_RETURN(const Buffer b, RandomFloats(largest));
  RM_ASSIGN_OR_RETURN(const Buffer c, RandomFloats(largest));
  return Time(1, [&]() -> absl::Status {
    for (const auto& [inputs, outputs, has_input_gradient] : layers) {
      RM_RETURN_IF_ERROR(
          kernels_.Run(GemmCall{false, true, rows, outputs, inputs, 1, a.floats(), inputs,
                                b.floats(), inputs, 0, c.floats(), outputs}));
      RM_RETURN_IF_ERROR(
          kernels_.Run(GemmCall{true, false, outputs, inputs, rows, 1, a.floats(), outputs,
                                b.floats(), inputs, 0, c.floats(), inputs}));
      if (!has_input_gradient) continue;
      RM_RETURN_IF_ERROR(
          kernels_.Run(GemmCall{false, false, rows, inputs, outputs, 1, a.floats(), outputs,
                                b.floats(), inputs, 0, c.floats(), inputs}));
    }
    return absl::OkStatus();
  });
}

// Seconds of forward and backward of `samples` samples.
absl::StatusOr<double> Bench::TimeStep(const ModelSpec& spec, const SampleShape& shape,
                                       int64_t samples) {
  ModelOptions options;
  options.shape = shape;
  options.max_batch = samples;
  options.bucket_bytes = int64_t{4} << 20;
  RM_ASSIGN_OR_RETURN(const auto model, CreateModel(spec, options, kernels_));
  const int64_t count = model->layout().count();
  const int64_t labels = samples * shape.labels();
  RM_ASSIGN_OR_RETURN(const Buffer features, RandomFloats(samples * shape.features()));
  RM_ASSIGN_OR_RETURN(const Buffer classes, RandomClasses(labels, shape.classes));
  RM_ASSIGN_OR_RETURN(Buffer weights, kernels_.Allocate(count * kFloatBytes));
  RM_ASSIGN_OR_RETURN(Buffer gradients, kernels_.Allocate(count * kFloatBytes));
  RM_ASSIGN_OR_RETURN(Buffer staging, kernels_.AllocateStaging(count * kFloatBytes));
  model->InitWeights(1, absl::MakeSpan(staging.floats(), count));
  RM_RETURN_IF_ERROR(kernels_.CopyFromHost(staging.data(), weights.data(), count * kFloatBytes));
  BatchView batch;
  batch.features = features.floats();
  batch.labels = batch.tokens = reinterpret_cast<const int32_t*>(classes.data());
  batch.count = samples;
  batch.training = true;
  const TensorView weight_view{weights.floats(), 1, count, kernels_.place()};
  const TensorView gradient_view{gradients.floats(), 1, count, kernels_.place()};
  return Time(1, [&]() -> absl::Status {
    RM_RETURN_IF_ERROR(model->Forward(batch, weight_view));
    return model->Backward(weight_view, gradient_view,
                           [](const Bucket&) { return absl::OkStatus(); });
  });
}

// Two operations a weight and row, in each direction.
double OperationsOf(absl::Span<const LinearLayer> layers, int64_t rows) {
  double operations = 0;
  for (const LinearLayer& layer : layers) {
    operations += (layer.has_input_gradient ? 6.0 : 4.0) * static_cast<double>(rows) *
                  static_cast<double>(layer.inputs * layer.outputs);
  }
  return operations;
}

absl::Status Bench::Step(const StepBench& step) {
  const double linear = OperationsOf(step.layers, step.rows);
  RM_ASSIGN_OR_RETURN(const double products, TimeProducts(step.layers, step.rows));
  sink_(
      {step.spec.name() + " products alone", products * 1e3, linear / products / 1e9, false, 1, 0});
  RM_ASSIGN_OR_RETURN(const double whole, TimeStep(step.spec, step.shape, step.samples));
  sink_({step.spec.name() + " step", whole * 1e3, (linear + step.other_operations) / whole / 1e9,
         false, products / whole, step.goal});
  return absl::OkStatus();
}

absl::Status Bench::MlpStep() {
  StepBench step;
  step.spec.set_name("mlp");
  for (int64_t i = 0; i < bench_.layers; ++i) {
    step.spec.add_mlp_hidden(static_cast<int32_t>(bench_.width));
    step.layers.push_back({bench_.width, bench_.width, i > 0});
  }
  step.layers.push_back({bench_.width, kClasses, true});
  step.shape = SampleShape{1, 1, static_cast<int32_t>(bench_.width), kClasses};
  step.samples = step.rows = bench_.batch;
  step.goal = kProductGoal;
  return Step(step);
}

absl::Status Bench::TransformerStep() {
  const KernelBench::Transformer& sizes = bench_.transformer;
  StepBench step;
  step.spec.set_name("transformer");
  TransformerSpec* const spec = step.spec.mutable_transformer();
  spec->set_layers(static_cast<int32_t>(sizes.layers));
  spec->set_width(static_cast<int32_t>(sizes.width));
  spec->set_heads(static_cast<int32_t>(sizes.heads));
  for (int64_t i = 0; i < sizes.layers; ++i) {
    for (const auto& [inputs, outputs] :
         {std::pair<int64_t, int64_t>(1, 3), {1, 1}, {1, 4}, {4, 1}}) {
      step.layers.push_back({inputs * sizes.width, outputs * sizes.width, true});
    }
  }
  step.layers.push_back({sizes.width, kSymbols, true});
  step.shape.height = step.shape.width = 1;
  step.shape.classes = kSymbols;
  step.shape.context = static_cast<int32_t>(sizes.context);
  step.samples = sizes.texts;
  step.rows = sizes.texts * sizes.context;
  // Two products of each row with a context forward, four backward.
  step.other_operations = 12.0 * static_cast<double>(step.rows) *
                          static_cast<double>(sizes.context * sizes.width * sizes.layers);
  return Step(step);
}

}  // namespace

absl::Status RunKernelBench(const KernelBench& bench, KernelLibrary& kernels,
                            const std::function<bool()>& interrupted,
                            const std::function<void(const KernelRow&)>& sink) {
  Bench run(bench, kernels, interrupted, sink);
  if (!bench.steps_only) RM_RETURN_IF_ERROR(run.MemoryBound());
  RM_RETURN_IF_ERROR(run.MlpStep());
  return run.TransformerStep();
}

}  // namespace ringmaster
