#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_SEGMENT_GRAPHS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_SEGMENT_GRAPHS_H_

#include <cuda_runtime.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "worker/kernels/kernel_library.h"
#include "worker/kernels/segments.h"

namespace ringmaster {

// Segments of one stream's operations as CUDA graphs. Operations that come for the first time are
// made, which loads their kernels; the second time they are captured into a graph, and from then on
// the graph is launched in their place. It is the operations themselves that decide, so whatever an
// argument is (a pointer, a size, a seed), others are never replaced.
//
// When a capture fails, the refusal is kept and all operations are made one by one from then on.
class SegmentGraphs {
 public:
  SegmentGraphs() = default;
  // The stream has been waited for.
  ~SegmentGraphs();
  SegmentGraphs(const SegmentGraphs&) = delete;
  SegmentGraphs& operator=(const SegmentGraphs&) = delete;

  // Makes an operation on the stream.
  using Make = absl::FunctionRef<absl::Status(const Operation& operation)>;

  // Whether Run is capturing: `make` may then touch nothing but the stream.
  bool capturing() const { return capturing_; }

  // The current device is that of `stream`. Errors: those of `make`, and of a launch.
  absl::Status Run(absl::Span<const Operation> operations, Make make, cudaStream_t stream);
  const SegmentCounts& counts() const { return counts_; }

 private:
  // Makes `operations` into a graph.
  absl::Status Capture(absl::Span<const Operation> operations, Make make, cudaStream_t stream,
                       cudaGraphExec_t* graph);

  bool capturing_ = false;
  SegmentTable<cudaGraphExec_t> graphs_;
  SegmentCounts counts_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_SEGMENT_GRAPHS_H_
