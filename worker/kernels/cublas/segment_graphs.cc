#include "worker/kernels/cublas/segment_graphs.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/kernels/cublas/cuda_status.h"

namespace ringmaster {

SegmentGraphs::~SegmentGraphs() {
  graphs_.Clear([](cudaGraphExec_t graph) { cudaGraphExecDestroy(graph); });
}

absl::Status SegmentGraphs::Run(absl::FunctionRef<absl::Status()> calls, cudaStream_t stream) {
  RM_CHECK(mode_ == Mode::kMake);
  if (!counts_.refusal.empty()) {
    ++counts_.run;
    return calls();
  }
  digest_ = CallDigest();
  mode_ = Mode::kNote;
  const absl::Status noted = calls();
  mode_ = Mode::kMake;
  RM_RETURN_IF_ERROR(noted);
  if (digest_.calls() == 0) return absl::OkStatus();
  const uint64_t digest = digest_.value();
  if (const cudaGraphExec_t* graph = graphs_.Find(digest)) {
    ++counts_.replayed;
    return CudaStatus(cudaGraphLaunch(*graph, stream), "replay of a segment");
  }
  if (graphs_.IsWorthKeeping(digest)) {
    cudaGraphExec_t graph = nullptr;
    const absl::Status captured = Capture(calls, stream, &graph);
    if (captured.ok()) {
      ++counts_.kept;
      graphs_.Keep(digest, graph);
      return CudaStatus(cudaGraphLaunch(graph, stream), "first launch of a segment");
    }
    // Nothing has been made yet, and what made capturing fail need not keep the calls from running.
    counts_.refusal = captured.ToString();
  }
  ++counts_.run;
  return calls();
}

absl::Status SegmentGraphs::Capture(absl::FunctionRef<absl::Status()> calls, cudaStream_t stream,
                                    cudaGraphExec_t* graph) {
  // Other threads' workers may allocate meanwhile: only this one's calls are restricted.
  RM_RETURN_IF_ERROR(
      CudaStatus(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin of a capture"));
  mode_ = Mode::kCapture;
  const absl::Status called = calls();
  mode_ = Mode::kMake;
  // Ended in any case, or the stream could not be used again.
  cudaGraph_t captured = nullptr;
  absl::Status status = CudaStatus(cudaStreamEndCapture(stream, &captured), "end of a capture");
  if (!called.ok()) status = called;
  if (status.ok()) status = CudaStatus(cudaGraphInstantiate(graph, captured, 0), "making a captured segment ready");
  if (captured != nullptr) cudaGraphDestroy(captured);
  return status;
}

}  // namespace ringmaster
