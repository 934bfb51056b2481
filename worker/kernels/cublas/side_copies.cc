#include "worker/kernels/cublas/side_copies.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/kernels/cublas/cuda_status.h"

namespace ringmaster {
namespace {

absl::Status StatusOf(cudaError_t code, absl::string_view what, int device) {
  if (code == cudaSuccess) return absl::OkStatus();
  return CudaStatus(code, absl::StrCat(what, " on device ", device));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CudaPoint>> CudaPoint::Create(int device) {
  std::unique_ptr<CudaPoint> point(new CudaPoint(device));
  RM_RETURN_IF_ERROR(StatusOf(cudaSetDevice(device), "creation of a point", device));
  RM_RETURN_IF_ERROR(StatusOf(
      cudaEventCreateWithFlags(&point->event_, cudaEventBlockingSync | cudaEventDisableTiming),
      "creation of a point", device));
  return point;
}

// An event that is destroyed before it is reached is freed when it is.
CudaPoint::~CudaPoint() {
  if (event_ != nullptr) cudaEventDestroy(event_);
}

absl::StatusOr<bool> CudaPoint::IsReached() {
  RM_RETURN_IF_ERROR(StatusOf(cudaSetDevice(device_), "look at a point", device_));
  const cudaError_t code = cudaEventQuery(event_);
  if (code == cudaErrorNotReady) {
    // No error, but it stays behind as one, which the next launch would report as its own.
    cudaGetLastError();
    return false;
  }
  RM_RETURN_IF_ERROR(StatusOf(code, "look at a point", device_));
  return true;
}

absl::Status CudaPoint::Await() {
  RM_RETURN_IF_ERROR(StatusOf(cudaSetDevice(device_), "wait for a point", device_));
  return StatusOf(cudaEventSynchronize(event_), "wait for a point", device_);
}

absl::Status CudaPoint::Record(cudaStream_t stream) {
  return StatusOf(cudaEventRecord(event_, stream), "setting of a point", device_);
}

absl::Status CudaPoint::Hold(cudaStream_t stream) {
  return StatusOf(cudaStreamWaitEvent(stream, event_, cudaEventWaitDefault), "order behind a point",
                  device_);
}

absl::Status SideCopies::Init(int device) {
  device_ = device;
  return StatusOf(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
                  "creation of the stream of copies", device);
}

SideCopies::~SideCopies() {
  if (stream_ == nullptr) return;
  cudaSetDevice(device_);
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}

absl::Status SideCopies::Start(const SideCopy& copy, cudaMemcpyKind kind, cudaStream_t operations) {
  RM_RETURN_IF_ERROR(StatusOf(cudaSetDevice(device_), "start of a copy", device_));
  auto& begin = static_cast<CudaPoint&>(*copy.begin);
  RM_RETURN_IF_ERROR(begin.Record(operations));
  RM_RETURN_IF_ERROR(begin.Hold(stream_));
  if (copy.size_bytes > 0) {
    const cudaError_t code = cudaMemcpyAsync(copy.to, copy.from, copy.size_bytes, kind, stream_);
    if (code != cudaSuccess) {
      return StatusOf(code,
                      absl::StrCat(kind == cudaMemcpyDeviceToHost ? "start_copy_to_host"
                                                                  : "start_copy_from_host",
                                   " size_bytes=", copy.size_bytes),
                      device_);
    }
  }
  return static_cast<CudaPoint&>(*copy.end).Record(stream_);
}

}  // namespace ringmaster
