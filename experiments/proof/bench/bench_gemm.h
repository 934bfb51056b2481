#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GEMM_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GEMM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "experiments/proof/bench/bench_buffers.h"
#include "experiments/proof/bench/bench_times.h"
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
  BenchTimes us;      // of a call
  double gflops = 0;  // 2mnk over the median
};

// Times `repetitions` samples of the product on `kernels` (a host library).
// Warm, as in a training step: a sample is about a millisecond of calls; `a` stays in the caches,
// and `b` and `c` (weights, gradients) are others in every call, of a few together larger than a
// core's own cache. Cold: a sample is one call, before which all three are taken out of all caches.
// Unaligned: each begins 4 bytes behind a cache line's begin. Errors: no memory, or the library's.
absl::StatusOr<GemmTimes> TimeGemm(const GemmShape& shape, int repetitions,
                                   const BenchBuffers& buffers, KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GEMM_H_
