#include "worker/kernels/cublas/cublas_library.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/kernels/convolution_by_gemm.h"
#include "worker/kernels/cublas/call_text.h"
#include "worker/kernels/cublas/cuda_status.h"
#include "worker/kernels/cublas/devices.h"

namespace ringmaster {
namespace {

// What cuBLAS recommends for compute capability 9.0; more than any smaller device asks for.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;

// Two events, destroyed with the object.
struct Events {
  Events() = default;
  ~Events() {
    if (begin != nullptr) cudaEventDestroy(begin);
    if (end != nullptr) cudaEventDestroy(end);
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
};

absl::Status StatusOf(cudaError_t code, absl::string_view what) { return CudaStatus(code, what); }
absl::Status StatusOf(cublasStatus_t code, absl::string_view what) {
  return CublasStatus(code, what);
}

absl::Status CheckSize(absl::string_view operation, absl::string_view quantity, int64_t size) {
  if (size >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(operation, " ", quantity, "=", size, ": must not be negative"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CublasLibrary>> CublasLibrary::Create(int device,
                                                                     ProductPrecision precision) {
  RM_ASSIGN_OR_RETURN(std::string target, UsableDevice(device));
  // Its bits are others.
  if (precision == ProductPrecision::kTf32) target += " tf32";
  std::unique_ptr<CublasLibrary> library(new CublasLibrary(device, precision, std::move(target)));
  RM_RETURN_IF_ERROR(library->Init());
  return library;
}

CublasLibrary::CublasLibrary(int device, ProductPrecision precision, std::string target)
    : device_(device), precision_(precision), target_(std::move(target)) {}

absl::Status CublasLibrary::Init() {
  const std::string where = absl::StrCat("set-up on device ", device_);
  RM_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(device_), where));
  RM_RETURN_IF_ERROR(
      CudaStatus(cudaStreamCreateWithFlags(&queue_.stream, cudaStreamNonBlocking), where));
  RM_RETURN_IF_ERROR(side_copies_.Init(device_));
  RM_RETURN_IF_ERROR(CudaStatus(cudaMalloc(&workspace_, kWorkspaceBytes), where));
  RM_RETURN_IF_ERROR(
      CudaStatus(cudaMalloc(&queue_.partials, kPartialFloats * sizeof(float)), where));
  RM_RETURN_IF_ERROR(CudaStatus(cudaMallocHost(&bad_rows_, sizeof(*bad_rows_)), where));
  *bad_rows_ = BadRows();
  queue_.bad_label_row = &bad_rows_->label;
  queue_.bad_token_row = &bad_rows_->token;
  RM_RETURN_IF_ERROR(CublasStatus(cublasCreate(&queue_.handle), where));
  // In this order: cublasSetStream takes a workspace that was set before away again.
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetStream(queue_.handle, queue_.stream), where));
  RM_RETURN_IF_ERROR(
      CublasStatus(cublasSetWorkspace(queue_.handle, workspace_, kWorkspaceBytes), where));
  RM_RETURN_IF_ERROR(
      CublasStatus(cublasSetAtomicsMode(queue_.handle, CUBLAS_ATOMICS_NOT_ALLOWED), where));
  // The default computes fp32 products in fp32; TF32 is a mode of its own.
  const cublasMath_t mode =
      precision_ == ProductPrecision::kTf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH;
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetMathMode(queue_.handle, mode), where));
  return CublasStatus(cublasSetPointerMode(queue_.handle, CUBLAS_POINTER_MODE_HOST), where);
}

// Errors have nobody left to hear them: Finish, called before, reports what concerns results.
CublasLibrary::~CublasLibrary() {
  cudaSetDevice(device_);
  if (queue_.stream != nullptr) cudaStreamSynchronize(queue_.stream);
  if (queue_.handle != nullptr) cublasDestroy(queue_.handle);
  if (workspace_ != nullptr) cudaFree(workspace_);
  if (queue_.partials != nullptr) cudaFree(queue_.partials);
  if (bad_rows_ != nullptr) cudaFreeHost(bad_rows_);
  if (queue_.stream != nullptr) cudaStreamDestroy(queue_.stream);
}

template <typename Launch, typename Describe>
absl::Status CublasLibrary::OnDevice(Launch launch, Describe describe) {
  // MakeSegment has selected the device before a capture, which may hold nothing but what the
  // stream is to do.
  const bool capturing = segments_.capturing();
  if (!capturing) {
    const cudaError_t selected = cudaSetDevice(device_);
    if (selected != cudaSuccess)
      return CudaStatus(selected, absl::StrCat(describe(), " on device ", device_));
  }
  const auto code = launch();
  if (code == decltype(code){}) return absl::OkStatus();
  return StatusOf(code,
                  absl::StrCat(describe(), capturing ? " captured" : "", " on device ", device_));
}

absl::StatusOr<Buffer> CublasLibrary::Allocate(int64_t size_bytes) {
  RM_CHECK(size_bytes >= 0);
  void* data = nullptr;
  RM_RETURN_IF_ERROR(OnDevice(
      [&] { return size_bytes == 0 ? cudaSuccess : cudaMalloc(&data, size_bytes); },
      [&] { return absl::StrCat("allocation of ", size_bytes, " bytes of device memory"); }));
  return Buffer(static_cast<std::byte*>(data), size_bytes, Place::kDevice,
                [](std::byte* memory) { cudaFree(memory); });
}

absl::StatusOr<Buffer> CublasLibrary::AllocateStaging(int64_t size_bytes) {
  RM_CHECK(size_bytes >= 0);
  void* data = nullptr;
  RM_RETURN_IF_ERROR(OnDevice(
      [&] { return size_bytes == 0 ? cudaSuccess : cudaMallocHost(&data, size_bytes); },
      [&] { return absl::StrCat("allocation of ", size_bytes, " bytes of pinned host memory"); }));
  return Buffer(static_cast<std::byte*>(data), size_bytes, Place::kHostPinned,
                [](std::byte* memory) { cudaFreeHost(memory); });
}

int64_t CublasLibrary::convolution_scratch_floats(const ConvShape& largest,
                                                  int64_t out_channels) const {
  return ConvolutionByGemmScratchFloats(*this, largest);
}

int64_t CublasLibrary::encode_scratch_bytes(EncodeKind kind, int64_t count) const {
  return EncodeScratchBytes(kind, count);
}

template <typename Call>
absl::Status CublasLibrary::Queue(const Call& call) {
  return OnDevice([&] { return Launch(call, queue_); }, [&] { return TextOf(call); });
}

absl::Status CublasLibrary::Queue(const AttentionCall& call) {
  const auto describe = [&] { return TextOf(call); };
  RM_RETURN_IF_ERROR(
      OnDevice([&] { return LaunchAttentionScores(call, queue_.handle); }, describe));
  RM_RETURN_IF_ERROR(
      OnDevice([&] { return LaunchAttentionSoftmax(call, queue_.stream); }, describe));
  return OnDevice([&] { return LaunchAttentionOutput(call, queue_.handle); }, describe);
}

absl::Status CublasLibrary::Queue(const AttentionBackwardCall& call) {
  const auto describe = [&] { return TextOf(call); };
  RM_RETURN_IF_ERROR(
      OnDevice([&] { return LaunchAttentionProbabilityGradient(call, queue_.handle); }, describe));
  RM_RETURN_IF_ERROR(
      OnDevice([&] { return LaunchAttentionSoftmaxBackward(call, queue_.stream); }, describe));
  return OnDevice([&] { return LaunchAttentionQkvGradient(call, queue_.handle); }, describe);
}

absl::Status CublasLibrary::Make(const Operation& operation) {
  return std::visit(
      [this](const auto& call) {
        if constexpr (kIsConvolution<std::decay_t<decltype(call)>>) {
          return ConvolutionByGemm(call, *this);
        } else {
          return Queue(call);
        }
      },
      operation);
}

absl::Status CublasLibrary::MakeSegment(absl::Span<const Operation> operations) {
  RM_RETURN_IF_ERROR(
      OnDevice([] { return cudaSuccess; }, [] { return std::string("run_segment"); }));
  return segments_.Run(
      operations, [this](const Operation& operation) { return Make(operation); }, queue_.stream);
}

absl::Status CublasLibrary::CopyToHost(const void* from, void* to, int64_t size_bytes) {
  RM_RETURN_IF_ERROR(CheckSize("copy_to_host", "size_bytes", size_bytes));
  return OnDevice(
      [&] {
        return size_bytes == 0
                   ? cudaSuccess
                   : cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToHost, queue_.stream);
      },
      [&] { return absl::StrCat("copy_to_host size_bytes=", size_bytes); });
}

absl::Status CublasLibrary::CopyFromHost(const void* from, void* to, int64_t size_bytes) {
  RM_RETURN_IF_ERROR(CheckSize("copy_from_host", "size_bytes", size_bytes));
  return OnDevice(
      [&] {
        return size_bytes == 0
                   ? cudaSuccess
                   : cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyHostToDevice, queue_.stream);
      },
      [&] { return absl::StrCat("copy_from_host size_bytes=", size_bytes); });
}

absl::Status CublasLibrary::StartCopyToHost(const SideCopy& copy) {
  RM_RETURN_IF_ERROR(CheckSize("start_copy_to_host", "size_bytes", copy.size_bytes));
  return side_copies_.Start(copy, cudaMemcpyDeviceToHost, queue_.stream);
}

absl::Status CublasLibrary::StartCopyFromHost(const SideCopy& copy) {
  RM_RETURN_IF_ERROR(CheckSize("start_copy_from_host", "size_bytes", copy.size_bytes));
  return side_copies_.Start(copy, cudaMemcpyHostToDevice, queue_.stream);
}

absl::StatusOr<std::unique_ptr<WorkPoint>> CublasLibrary::CreatePoint() {
  return CudaPoint::Create(device_);
}

absl::Status CublasLibrary::Mark(WorkPoint& point) {
  RM_RETURN_IF_ERROR(OnDevice([] { return cudaSuccess; }, [] { return std::string("mark"); }));
  return static_cast<CudaPoint&>(point).Record(queue_.stream);
}

absl::Status CublasLibrary::OrderAfter(WorkPoint& point) {
  RM_RETURN_IF_ERROR(
      OnDevice([] { return cudaSuccess; }, [] { return std::string("order_after"); }));
  return static_cast<CudaPoint&>(point).Hold(queue_.stream);
}

absl::Status CublasLibrary::Finish() {
  RM_RETURN_IF_ERROR(OnDevice(
      [&] {
        const cudaError_t code = cudaStreamSynchronize(queue_.stream);
        return code == cudaSuccess ? cudaGetLastError() : code;
      },
      [] { return std::string("finish"); }));
  const BadRows bad_rows = std::exchange(*bad_rows_, BadRows());
  if (bad_rows.label != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cublas softmax_cross_entropy on device ",
                                                   device_, ": the label in row ",
                                                   bad_rows.label - 1, " is not in [0, classes)"));
  }
  if (bad_rows.token != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cublas embedding on device ", device_,
                                                   ": the token in row ", bad_rows.token - 1,
                                                   " is not in [0, vocabulary)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<double> CublasLibrary::TimeCalls(absl::FunctionRef<absl::Status()> work) {
  const auto what = [] { return std::string("timing"); };
  Events events;
  RM_RETURN_IF_ERROR(OnDevice([&] { return cudaEventCreate(&events.begin); }, what));
  RM_RETURN_IF_ERROR(OnDevice([&] { return cudaEventCreate(&events.end); }, what));
  RM_RETURN_IF_ERROR(Finish());
  RM_RETURN_IF_ERROR(OnDevice([&] { return cudaEventRecord(events.begin, queue_.stream); }, what));
  RM_RETURN_IF_ERROR(work());
  RM_RETURN_IF_ERROR(OnDevice([&] { return cudaEventRecord(events.end, queue_.stream); }, what));
  RM_RETURN_IF_ERROR(Finish());
  float milliseconds = 0;
  RM_RETURN_IF_ERROR(OnDevice(
      [&] { return cudaEventElapsedTime(&milliseconds, events.begin, events.end); }, what));
  return milliseconds / 1e3;
}

}  // namespace ringmaster
