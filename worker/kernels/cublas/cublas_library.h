#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_CUBLAS_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_CUBLAS_LIBRARY_H_

#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/product_precision.h"
#include "worker/kernels/cublas/segment_graphs.h"
#include "worker/kernels/cublas/side_copies.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// The operations on one GPU: CUDA kernels of ours, and cuBLAS for Gemm and the products of
// attention, in plain fp32 or in TF32, all on one stream of the object's own, which is not the
// default stream; a second one is for the copies beside them. cuBLAS has one handle with one
// workspace of its own, and no sum uses atomics, so the same calls give the same bits on the same
// device. Segments that come again are replayed as CUDA graphs (segment_graphs.h).
//
// One thread at a time, any thread: each call selects the device first. Several objects in one
// process, on one device or on several, do not disturb each other. A call returns InvalidArgument
// for impossible sizes and else the launch's error; what goes wrong on the device comes from a
// later call, at the latest from Finish: also a label that is no class and a token outside the
// vocabulary (InvalidArgument), which the host cannot see in time.
class CublasLibrary final : public KernelLibrary {
 public:
  // On `device`, counted from 0. Unavailable: no driver, no such device, or one below compute
  // capability 8.0.
  static absl::StatusOr<std::unique_ptr<CublasLibrary>> Create(int device,
                                                               ProductPrecision precision);

  // Waits for its streams. Buffers may outlive the object.
  ~CublasLibrary() override;
  CublasLibrary(const CublasLibrary&) = delete;
  CublasLibrary& operator=(const CublasLibrary&) = delete;

  absl::string_view name() const override {
    return precision_ == ProductPrecision::kTf32 ? "cublas_tf32" : "cublas";
  }
  Place place() const override { return Place::kDevice; }
  std::string target() const override { return target_; }
  // A block of columns must be wide enough for its product to occupy every multiprocessor, and each
  // block costs two launches: 64 MiB hold the columns of a batch of these models in one or a few
  // blocks, and are about what the L2 cache of an A100 (40 MB) or H100 (50 MB) holds, so that most
  // of a block is still there when its product reads it.
  int64_t fast_scratch_bytes() const override { return int64_t{64} << 20; }

  // Device memory and pinned host memory; 0 bytes give a buffer without memory. ResourceExhausted
  // when there is none.
  absl::StatusOr<Buffer> Allocate(int64_t size_bytes) override;
  absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) override;

  int64_t convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const override;
  int64_t encode_scratch_bytes(EncodeKind kind, int64_t count) const override;
  absl::Status CopyToHost(const void* from, void* to, int64_t size_bytes) override;
  absl::Status CopyFromHost(const void* from, void* to, int64_t size_bytes) override;
  absl::Status StartCopyToHost(const SideCopy& copy) override;
  absl::Status StartCopyFromHost(const SideCopy& copy) override;
  absl::StatusOr<std::unique_ptr<WorkPoint>> CreatePoint() override;
  absl::Status Mark(WorkPoint& point) override;
  absl::Status OrderAfter(WorkPoint& point) override;
  SegmentCounts segment_counts() const override { return segments_.counts(); }
  absl::Status Finish() override;

  // Seconds between an event before the calls that `work` makes to this object and one after them,
  // all on its stream. Waits for both. For benchmarks: it makes events, which no timed step may.
  // Errors of `work` are handed on.
  absl::StatusOr<double> TimeCalls(absl::FunctionRef<absl::Status()> work);

 protected:
  absl::Status Make(const Operation& operation) override;
  absl::Status MakeSegment(absl::Span<const Operation> operations) override;

 private:
  // 1 + a row whose label is no class, or whose token is not in the vocabulary; 0: none.
  struct BadRows {
    int64_t label = 0, token = 0;
  };

  CublasLibrary(int device, ProductPrecision precision, std::string target);
  // Makes stream, handle and workspace; what exists when it fails is freed by the destructor.
  absl::Status Init();

  // Selects the device and runs `launch`, a cudaError_t() or cublasStatus_t(); `describe`, a
  // std::string(), is asked only for an error.
  template <typename Launch, typename Describe>
  absl::Status OnDevice(Launch launch, Describe describe);
  // The operations of several launches, and those of one.
  absl::Status Queue(const AttentionCall& call);
  absl::Status Queue(const AttentionBackwardCall& call);
  template <typename Call>
  absl::Status Queue(const Call& call);

  const int device_;
  const ProductPrecision precision_;
  const std::string target_;
  DeviceQueue queue_;
  void* workspace_ = nullptr;
  // Pinned; written by the device, read and cleared by Finish.
  BadRows* bad_rows_ = nullptr;
  SideCopies side_copies_;
  SegmentGraphs segments_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_CUBLAS_LIBRARY_H_
