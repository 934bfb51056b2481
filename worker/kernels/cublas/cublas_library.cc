#include "worker/kernels/cublas/cublas_library.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/kernels/check_call.h"
#include "worker/kernels/cublas/cuda_status.h"
#include "worker/kernels/cublas/devices.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// What cuBLAS recommends for compute capability 9.0; more than any smaller device asks for.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;

std::string AxisText(BiasAxis axis) { return axis == BiasAxis::kPerColumn ? "per column" : "per row"; }

std::string ConvText(const ConvShape& shape, int64_t image_begin, int64_t image_count) {
  return absl::StrCat("channels=", shape.channels, " images=", shape.images, " height=", shape.height,
                      " width=", shape.width, " kernel=", shape.kernel, " padding=", shape.padding, " image_begin=",
                      image_begin, " image_count=", image_count);
}

std::string PlanesText(int64_t planes, int64_t height, int64_t width) {
  return absl::StrCat("planes=", planes, " height=", height, " width=", width);
}

std::string GemmText(const GemmCall& call) {
  return absl::StrCat("gemm m=", call.m, " n=", call.n, " k=", call.k, call.transpose_a ? " a transposed" : "",
                      call.transpose_b ? " b transposed" : "", " lda=", call.lda, " ldb=", call.ldb,
                      " ldc=", call.ldc, " beta=", call.beta);
}

absl::Status CheckSize(absl::string_view operation, absl::string_view quantity, int64_t size) {
  if (size >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(operation, " ", quantity, "=", size, ": must not be negative"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CublasLibrary>> CublasLibrary::Create(int device) {
  RM_ASSIGN_OR_RETURN(std::string target, UsableDevice(device));
  std::unique_ptr<CublasLibrary> library(new CublasLibrary(device, std::move(target)));
  RM_RETURN_IF_ERROR(library->Init());
  return library;
}

CublasLibrary::CublasLibrary(int device, std::string target) : device_(device), target_(std::move(target)) {}

absl::Status CublasLibrary::Init() {
  const std::string where = absl::StrCat("set-up on device ", device_);
  RM_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(device_), where));
  RM_RETURN_IF_ERROR(CudaStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), where));
  RM_RETURN_IF_ERROR(CudaStatus(cudaMalloc(&workspace_, kWorkspaceBytes), where));
  RM_RETURN_IF_ERROR(CudaStatus(cudaMallocHost(&bad_label_row_, sizeof(*bad_label_row_)), where));
  *bad_label_row_ = 0;
  RM_RETURN_IF_ERROR(CublasStatus(cublasCreate(&handle_), where));
  // In this order: cublasSetStream takes a workspace that was set before away again.
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetStream(handle_, stream_), where));
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetWorkspace(handle_, workspace_, kWorkspaceBytes), where));
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetAtomicsMode(handle_, CUBLAS_ATOMICS_NOT_ALLOWED), where));
  // The default computes fp32 products in fp32; TF32 is a mode of its own.
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetMathMode(handle_, CUBLAS_DEFAULT_MATH), where));
  return CublasStatus(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_HOST), where);
}

// Errors have nobody left to hear them: Finish, called before, reports what concerns results.
CublasLibrary::~CublasLibrary() {
  cudaSetDevice(device_);
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  if (handle_ != nullptr) cublasDestroy(handle_);
  if (workspace_ != nullptr) cudaFree(workspace_);
  if (bad_label_row_ != nullptr) cudaFreeHost(bad_label_row_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

template <typename Launch, typename Describe>
absl::Status CublasLibrary::Run(Launch launch, Describe describe) {
  cudaError_t code = cudaSetDevice(device_);
  if (code == cudaSuccess) code = launch();
  if (code == cudaSuccess) return absl::OkStatus();
  return CudaStatus(code, absl::StrCat(describe(), " on device ", device_));
}

absl::StatusOr<Buffer> CublasLibrary::Allocate(int64_t size_bytes) {
  RM_CHECK(size_bytes >= 0);
  void* data = nullptr;
  RM_RETURN_IF_ERROR(Run([&] { return size_bytes == 0 ? cudaSuccess : cudaMalloc(&data, size_bytes); },
                         [&] { return absl::StrCat("allocation of ", size_bytes, " bytes of device memory"); }));
  return Buffer(static_cast<std::byte*>(data), size_bytes, Place::kDevice, [](std::byte* memory) { cudaFree(memory); });
}

absl::StatusOr<Buffer> CublasLibrary::AllocateStaging(int64_t size_bytes) {
  RM_CHECK(size_bytes >= 0);
  void* data = nullptr;
  RM_RETURN_IF_ERROR(Run([&] { return size_bytes == 0 ? cudaSuccess : cudaMallocHost(&data, size_bytes); },
                         [&] { return absl::StrCat("allocation of ", size_bytes, " bytes of pinned host memory"); }));
  return Buffer(static_cast<std::byte*>(data), size_bytes, Place::kHostPinned,
                [](std::byte* memory) { cudaFreeHost(memory); });
}

absl::Status CublasLibrary::Gemm(const GemmCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  const cudaError_t code = cudaSetDevice(device_);
  if (code != cudaSuccess) return CudaStatus(code, absl::StrCat(GemmText(call), " on device ", device_));
  const cublasStatus_t status = LaunchGemm(call, handle_);
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return CublasStatus(status, absl::StrCat(GemmText(call), " on device ", device_));
}

absl::Status CublasLibrary::AddBias(const BiasCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchAddBias(call, stream_); },
             [&] { return absl::StrCat("add_bias rows=", call.rows, " cols=", call.cols, " ", AxisText(call.axis)); });
}

absl::Status CublasLibrary::BiasGradient(const BiasGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchBiasGradient(call, stream_); }, [&] {
    return absl::StrCat("bias_gradient rows=", call.rows, " cols=", call.cols, " ", AxisText(call.axis));
  });
}

absl::Status CublasLibrary::ReluBackward(const ReluBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchReluBackward(call, stream_); },
             [&] { return absl::StrCat("relu_backward count=", call.count); });
}

absl::Status CublasLibrary::Im2Col(const Im2ColCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchIm2Col(call, stream_); },
             [&] { return absl::StrCat("im2col ", ConvText(call.shape, call.image_begin, call.image_count)); });
}

absl::Status CublasLibrary::Col2Im(const Col2ImCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchCol2Im(call, stream_); },
             [&] { return absl::StrCat("col2im ", ConvText(call.shape, call.image_begin, call.image_count)); });
}

absl::Status CublasLibrary::MaxPool(const MaxPoolCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchMaxPool(call, stream_); },
             [&] { return absl::StrCat("max_pool ", PlanesText(call.planes, call.height, call.width)); });
}

absl::Status CublasLibrary::MaxPoolBackward(const MaxPoolBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchMaxPoolBackward(call, stream_); },
             [&] { return absl::StrCat("max_pool_backward ", PlanesText(call.planes, call.height, call.width)); });
}

absl::Status CublasLibrary::SwapAxes(const SwapAxesCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchSwapAxes(call, stream_); }, [&] {
    return absl::StrCat("swap_axes outer_a=", call.outer_a, " outer_b=", call.outer_b, " inner=", call.inner);
  });
}

absl::Status CublasLibrary::SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run([&] { return LaunchSoftmaxCrossEntropy(call, bad_label_row_, stream_); },
             [&] { return absl::StrCat("softmax_cross_entropy rows=", call.rows, " classes=", call.classes); });
}

absl::Status CublasLibrary::FillZero(float* data, int64_t count) {
  RM_RETURN_IF_ERROR(CheckSize("fill_zero", "count", count));
  return Run([&] { return count == 0 ? cudaSuccess : cudaMemsetAsync(data, 0, count * sizeof(float), stream_); },
             [&] { return absl::StrCat("fill_zero count=", count); });
}

absl::Status CublasLibrary::CopyToHost(const void* from, void* to, int64_t size_bytes) {
  RM_RETURN_IF_ERROR(CheckSize("copy_to_host", "size_bytes", size_bytes));
  return Run(
      [&] {
        return size_bytes == 0 ? cudaSuccess : cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToHost, stream_);
      },
      [&] { return absl::StrCat("copy_to_host size_bytes=", size_bytes); });
}

absl::Status CublasLibrary::CopyFromHost(const void* from, void* to, int64_t size_bytes) {
  RM_RETURN_IF_ERROR(CheckSize("copy_from_host", "size_bytes", size_bytes));
  return Run(
      [&] {
        return size_bytes == 0 ? cudaSuccess : cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyHostToDevice, stream_);
      },
      [&] { return absl::StrCat("copy_from_host size_bytes=", size_bytes); });
}

absl::Status CublasLibrary::Finish() {
  RM_RETURN_IF_ERROR(Run(
      [&] {
        const cudaError_t code = cudaStreamSynchronize(stream_);
        return code == cudaSuccess ? cudaGetLastError() : code;
      },
      [] { return std::string("finish"); }));
  const int64_t bad_label_row = std::exchange(*bad_label_row_, 0);
  if (bad_label_row == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("cublas softmax_cross_entropy on device ", device_,
                                                 ": the label in row ", bad_label_row - 1, " is not in [0, classes)"));
}

}  // namespace ringmaster
