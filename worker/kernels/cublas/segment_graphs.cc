#include "worker/kernels/cublas/segment_graphs.h"

#include "common/base/status_macros.h"
#include "worker/kernels/cublas/cuda_status.h"

namespace ringmaster {
namespace {

absl::Status MakeAll(absl::Span<const Operation> operations, SegmentGraphs::Make make) {
  for (const Operation& operation : operations) RM_RETURN_IF_ERROR(make(operation));
  return absl::OkStatus();
}

}  // namespace

SegmentGraphs::~SegmentGraphs() {
  graphs_.Clear([](cudaGraphExec_t graph) { cudaGraphExecDestroy(graph); });
}

absl::Status SegmentGraphs::Run(absl::Span<const Operation> operations, Make make,
                                cudaStream_t stream) {
  if (operations.empty()) return absl::OkStatus();
  if (counts_.refusal.empty()) {
    const uint64_t digest = DigestOf(operations);
    if (const cudaGraphExec_t* graph = graphs_.Find(digest)) {
      ++counts_.replayed;
      return CudaStatus(cudaGraphLaunch(*graph, stream), "replay of a segment");
    }
    if (graphs_.IsWorthKeeping(digest)) {
      cudaGraphExec_t graph = nullptr;
      const absl::Status captured = Capture(operations, make, stream, &graph);
      if (captured.ok()) {
        ++counts_.kept;
        graphs_.Keep(digest, graph);
        return CudaStatus(cudaGraphLaunch(graph, stream), "first launch of a segment");
      }
      // Nothing has been made yet, and what made capturing fail need not keep the operations from
      // running.
      counts_.refusal = captured.ToString();
    }
  }
  ++counts_.run;
  return MakeAll(operations, make);
}

absl::Status SegmentGraphs::Capture(absl::Span<const Operation> operations, Make make,
                                    cudaStream_t stream, cudaGraphExec_t* graph) {
  // Other threads' workers may allocate meanwhile: only this one's calls are restricted.
  RM_RETURN_IF_ERROR(CudaStatus(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                                "begin of a capture"));
  capturing_ = true;
  const absl::Status made = MakeAll(operations, make);
  capturing_ = false;
  // Ended in any case, or the stream could not be used again.
  cudaGraph_t captured = nullptr;
  absl::Status status = CudaStatus(cudaStreamEndCapture(stream, &captured), "end of a capture");
  if (!made.ok()) status = made;
  if (status.ok())
    status =
        CudaStatus(cudaGraphInstantiate(graph, captured, 0), "making a captured segment ready");
  if (captured != nullptr) cudaGraphDestroy(captured);
  return status;
}

}  // namespace ringmaster
