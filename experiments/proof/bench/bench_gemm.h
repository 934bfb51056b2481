#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GEMM_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GEMM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// One matrix product to time: c[m, n] = op(a) op(b).
struct GemmShape {
  std::string use;  // "mlp fc2 forward"; empty: the user's own
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
};

// The products of a training step of `bench step`'s models, each once.
std::vector<GemmShape> ModelGemmShapes();

// "64x1024x784,1024x1024x64:tn": m x n x k, and which operands are transposed (default nn).
// InvalidArgument quotes what is no shape.
absl::StatusOr<std::vector<GemmShape>> ParseGemmShapes(absl::string_view text);

// Time of one product.
struct GemmTimes {
  double us_median = 0;
  double us_min = 0;
  double gflops = 0;  // 2mnk over the median
};

// Times `repetitions` samples of the product on `kernels` (a host library), each over about a
// millisecond of calls. Operands that a step takes from memory (weights, gradients) are another one
// in every call, of a few together larger than a core's cache; the smaller operand stays. Errors:
// no memory, or the library's.
absl::StatusOr<GemmTimes> TimeGemm(const GemmShape& shape, int repetitions, KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GEMM_H_
