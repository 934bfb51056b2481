#include "experiments/proof/bench/bench_gemm.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/tensor/tensor.h"

namespace ringmaster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kFloatBytes = sizeof(float);
constexpr double kSampleSeconds = 1e-3;
// More than the second cache of a core.
constexpr int64_t kRotatedBytes = int64_t{32} << 20;
constexpr int64_t kMaxSize = 1 << 16;

// Forward, weight gradient and input gradient of a linear layer of `rows` rows.
void AddLinearShapes(const std::string& layer, int64_t rows, int64_t inputs, int64_t outputs,
                     bool first, std::vector<GemmShape>* shapes) {
  shapes->push_back({layer + " forward", false, true, rows, outputs, inputs});
  shapes->push_back({layer + " weights", true, false, outputs, inputs, rows});
  if (!first) shapes->push_back({layer + " inputs", false, false, rows, inputs, outputs});
}

absl::StatusOr<GemmShape> ParseShape(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  const std::vector<absl::string_view> sizes = absl::StrSplit(parts[0], 'x');
  GemmShape shape;
  int64_t* const to[] = {&shape.m, &shape.n, &shape.k};
  bool ok = sizes.size() == 3 && parts.size() <= 2;
  for (size_t i = 0; ok && i < 3; ++i)
    ok = absl::SimpleAtoi(sizes[i], to[i]) && *to[i] >= 1 && *to[i] <= kMaxSize;
  if (ok && parts.size() == 2) {
    const absl::string_view letters = parts[1];
    ok = letters.size() == 2 && letters.find_first_not_of("nt") == absl::string_view::npos;
    shape.transpose_a = ok && letters[0] == 't';
    shape.transpose_b = ok && letters[1] == 't';
  }
  if (ok) return shape;
  return absl::InvalidArgumentError(
      absl::StrCat("shape \"", text, "\": expected MxNxK, each 1 to ", kMaxSize,
                   ", and :nn, :nt, :tn or :tt for transposed operands"));
}

// Matrices of one size, one behind the other.
class Operand {
 public:
  static absl::StatusOr<Operand> Create(int64_t copies, int64_t count, const BenchBuffers& buffers,
                                        KernelLibrary& kernels) {
    Operand operand;
    operand.count_ = count;
    operand.stride_ = CeilDiv(count + buffers.offset(), kLineFloats) * kLineFloats;
    operand.offset_ = buffers.offset();
    RM_ASSIGN_OR_RETURN(operand.memory_, kernels.Allocate(copies * operand.stride_ * kFloatBytes));
    Random random(1);
    for (float& value : operand.memory_.float_span()) value = random.Uniform();
    return operand;
  }

  absl::Span<float> operator[](int64_t copy) const {
    return memory_.float_span().subspan(copy * stride_ + offset_, count_);
  }

 private:
  static constexpr int64_t kLineFloats = 16;

  Buffer memory_;
  int64_t count_ = 0, stride_ = 0, offset_ = 0;
};

}  // namespace

std::vector<GemmShape> ModelGemmShapes() {
  std::vector<GemmShape> shapes;
  AddLinearShapes("mlp fc1", 64, 784, 1024, true, &shapes);
  AddLinearShapes("mlp fc2", 64, 1024, 1024, false, &shapes);
  AddLinearShapes("mlp fc3", 64, 1024, 10, false, &shapes);
  AddLinearShapes("cnn fc1", 64, 3136, 1024, false, &shapes);
  AddLinearShapes("transformer qkv", 1024, 128, 384, false, &shapes);
  AddLinearShapes("transformer proj", 1024, 128, 128, false, &shapes);
  AddLinearShapes("transformer mlp.fc", 1024, 128, 512, false, &shapes);
  AddLinearShapes("transformer mlp.proj", 1024, 512, 128, false, &shapes);
  AddLinearShapes("transformer head", 1024, 128, 256, false, &shapes);
  shapes.push_back({"transformer scores", false, true, 64, 64, 32});
  shapes.push_back({"transformer values", false, false, 64, 32, 64});
  return shapes;
}

absl::StatusOr<std::vector<GemmShape>> ParseGemmShapes(absl::string_view text) {
  std::vector<GemmShape> shapes;
  for (const absl::string_view one : absl::StrSplit(text, ',')) {
    RM_ASSIGN_OR_RETURN(GemmShape shape, ParseShape(one));
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

absl::StatusOr<GemmTimes> TimeGemm(const GemmShape& shape, int repetitions,
                                   const BenchBuffers& buffers, KernelLibrary& kernels) {
  const int64_t a_count = shape.m * shape.k, b_count = shape.k * shape.n,
                c_count = shape.m * shape.n;
  const int64_t copies =
      std::clamp<int64_t>(kRotatedBytes / kFloatBytes / (b_count + c_count), 1, 1024);
  RM_ASSIGN_OR_RETURN(const Operand a, Operand::Create(1, a_count, buffers, kernels));
  RM_ASSIGN_OR_RETURN(const Operand b, Operand::Create(copies, b_count, buffers, kernels));
  RM_ASSIGN_OR_RETURN(const Operand c, Operand::Create(copies, c_count, buffers, kernels));
  int64_t at = 0;
  const auto run = [&](int64_t calls) -> absl::StatusOr<double> {
    if (buffers.is_cold()) {
      for (const absl::Span<float> floats : {a[0], b[at], c[at]}) TakeOutOfCaches(floats);
    }
    const Clock::time_point begin = Clock::now();
    for (int64_t i = 0; i < calls; ++i, at = (at + 1) % copies) {
      RM_RETURN_IF_ERROR(kernels.Run(
          GemmCall{shape.transpose_a, shape.transpose_b, shape.m, shape.n, shape.k, 1.0f,
                   a[0].data(), shape.transpose_a ? shape.m : shape.k, b[at].data(),
                   shape.transpose_b ? shape.k : shape.n, 0.0f, c[at].data(), shape.n}));
    }
    return std::chrono::duration<double>(Clock::now() - begin).count() / static_cast<double>(calls);
  };
  RM_RETURN_IF_ERROR(run(1).status());
  RM_ASSIGN_OR_RETURN(const double first, run(1));
  const auto affordable =
      static_cast<int64_t>(std::clamp(kSampleSeconds / std::max(first, 1e-9), 1.0, 1e6));
  const int64_t calls = buffers.is_cold() ? 1 : affordable;
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) {
    RM_ASSIGN_OR_RETURN(const double seconds, run(calls));
    times.push_back(1e6 * seconds);
  }
  GemmTimes result;
  result.us = TimesOf(std::move(times));
  result.gflops = 2e-3 * static_cast<double>(shape.m * shape.n) * static_cast<double>(shape.k) /
                  result.us.median;
  return result;
}

}  // namespace ringmaster
