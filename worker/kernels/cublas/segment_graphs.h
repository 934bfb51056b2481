#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_SEGMENT_GRAPHS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_SEGMENT_GRAPHS_H_

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "worker/kernels/kernel_library.h"
#include "worker/kernels/segments.h"

namespace ringmaster {

// Segments of one stream's operations as CUDA graphs. The calls of a segment are first only noted, for their digest.
// Calls that come for the first time are then made, which loads their kernels; the second time they are captured into
// a graph, and from then on the graph is launched in their place. It is the calls themselves that decide, so whatever
// an argument is (a pointer, a size, a seed), other calls are never replaced.
//
// When a capture fails, the refusal is kept and all calls are made as they are from then on.
class SegmentGraphs {
 public:
  SegmentGraphs() = default;
  // The stream has been waited for.
  ~SegmentGraphs();
  SegmentGraphs(const SegmentGraphs&) = delete;
  SegmentGraphs& operator=(const SegmentGraphs&) = delete;

  // Operations ask on each call: in kNote they give it to Note and do nothing else, in kCapture they touch nothing
  // but the stream.
  enum class Mode { kMake, kNote, kCapture };
  Mode mode() const { return mode_; }
  template <typename Call>
  void Note(const Call& call) {
    digest_.Add(call);
  }

  // The current device is that of `stream`.
  absl::Status Run(absl::FunctionRef<absl::Status()> calls, cudaStream_t stream);
  const SegmentCounts& counts() const { return counts_; }

 private:
  // Makes `calls` into a graph.
  absl::Status Capture(absl::FunctionRef<absl::Status()> calls, cudaStream_t stream, cudaGraphExec_t* graph);

  Mode mode_ = Mode::kMake;
  CallDigest digest_;
  SegmentTable<cudaGraphExec_t> graphs_;
  SegmentCounts counts_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_SEGMENT_GRAPHS_H_
