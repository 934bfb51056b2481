#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_KERNELS_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_KERNELS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// What is measured of a kernel library: how near its operations come to what the place they run in
// can do.
struct KernelBench {
  // of the largest array of each operation that memory bounds; far more than any cache
  int64_t array_bytes = 0;
  int repetitions = 0;  // samples of each figure, of which the median is taken
  // The multi-layer perceptron whose step the products bound: `layers` hidden layers of `width`,
  // which is the width of the samples too, on batches of `batch`.
  int64_t width = 0;
  int64_t layers = 0;
  int64_t batch = 0;
  // A decoder over characters, whose attention memory bounds as well.
  struct Transformer {
    int64_t layers = 0, width = 0, heads = 0, context = 0;
    int64_t texts = 0;  // in a step
  };
  Transformer transformer;
  bool steps_only = false;  // the steps and their products, nothing else
};

// One line of the table.
struct KernelRow {
  std::string name;  // "add", "mlp step"
  double ms = 0;     // of one call, or of a step, where it runs (TimeCalls)
  // 10^9 bytes a second that must be moved at the least, or 10^9 floating-point operations
  double rate = 0;
  bool is_bytes = true;  // which of them
  // Of the ceiling: the rate of CopyFloats, or the time of the products of the step's linear layers
  // alone.
  double share = 0;
  double goal = 0;  // what a kernel library on a GPU is to reach; 0: the ceiling itself
};

// Measures on `kernels` and hands each line to `sink` as it comes: "copy", the operations that
// memory bounds against it, then for the perceptron and the transformer the products of a step's
// linear layers alone, and the step: forward and backward. Every figure comes after calls that are
// not counted. Bytes are those of each array once, also where an operation reads one twice.
// `interrupted` ends it with Cancelled. Errors: no memory, or the library's.
absl::Status RunKernelBench(const KernelBench& bench, KernelLibrary& kernels,
                            const std::function<bool()>& interrupted,
                            const std::function<void(const KernelRow&)>& sink);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_KERNELS_H_
