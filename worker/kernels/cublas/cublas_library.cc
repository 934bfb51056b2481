#include "worker/kernels/cublas/cublas_library.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/kernels/check_call.h"
#include "worker/kernels/convolution_by_gemm.h"
#include "worker/kernels/cublas/call_text.h"
#include "worker/kernels/cublas/cuda_status.h"
#include "worker/kernels/cublas/devices.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// What cuBLAS recommends for compute capability 9.0; more than any smaller device asks for.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;

// What a segment remembers of the two operations without a call of their own.
struct FillZeroCall {
  float* data;
  int64_t count;
};
struct CopyFloatsCall {
  const float* from;
  float* to;
  int64_t count;
};

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
absl::Status StatusOf(cublasStatus_t code, absl::string_view what) { return CublasStatus(code, what); }

absl::Status CheckSize(absl::string_view operation, absl::string_view quantity, int64_t size) {
  if (size >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(operation, " ", quantity, "=", size, ": must not be negative"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CublasLibrary>> CublasLibrary::Create(int device, ProductPrecision precision) {
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
  RM_RETURN_IF_ERROR(CudaStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), where));
  RM_RETURN_IF_ERROR(side_copies_.Init(device_));
  RM_RETURN_IF_ERROR(CudaStatus(cudaMalloc(&workspace_, kWorkspaceBytes), where));
  RM_RETURN_IF_ERROR(CudaStatus(cudaMalloc(&partials_, kPartialFloats * sizeof(float)), where));
  RM_RETURN_IF_ERROR(CudaStatus(cudaMallocHost(&bad_rows_, sizeof(*bad_rows_)), where));
  *bad_rows_ = BadRows();
  RM_RETURN_IF_ERROR(CublasStatus(cublasCreate(&handle_), where));
  // In this order: cublasSetStream takes a workspace that was set before away again.
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetStream(handle_, stream_), where));
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetWorkspace(handle_, workspace_, kWorkspaceBytes), where));
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetAtomicsMode(handle_, CUBLAS_ATOMICS_NOT_ALLOWED), where));
  // The default computes fp32 products in fp32; TF32 is a mode of its own.
  const cublasMath_t mode =
      precision_ == ProductPrecision::kTf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH;
  RM_RETURN_IF_ERROR(CublasStatus(cublasSetMathMode(handle_, mode), where));
  return CublasStatus(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_HOST), where);
}

// Errors have nobody left to hear them: Finish, called before, reports what concerns results.
CublasLibrary::~CublasLibrary() {
  cudaSetDevice(device_);
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  if (handle_ != nullptr) cublasDestroy(handle_);
  if (workspace_ != nullptr) cudaFree(workspace_);
  if (partials_ != nullptr) cudaFree(partials_);
  if (bad_rows_ != nullptr) cudaFreeHost(bad_rows_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

template <typename Launch, typename Describe>
absl::Status CublasLibrary::Run(Launch launch, Describe describe) {
  RM_CHECK(segments_.mode() == SegmentGraphs::Mode::kMake);  // a segment has operations alone
  const cudaError_t selected = cudaSetDevice(device_);
  if (selected != cudaSuccess) return CudaStatus(selected, absl::StrCat(describe(), " on device ", device_));
  const auto code = launch();
  if (code == decltype(code){}) return absl::OkStatus();
  return StatusOf(code, absl::StrCat(describe(), " on device ", device_));
}

template <typename Call, typename Launch, typename Describe>
absl::Status CublasLibrary::Run(const Call& call, Launch launch, Describe describe) {
  switch (segments_.mode()) {
    case SegmentGraphs::Mode::kMake:
      return Run(launch, describe);
    case SegmentGraphs::Mode::kNote:
      segments_.Note(call);
      return absl::OkStatus();
    case SegmentGraphs::Mode::kCapture:
      break;
  }
  // RunSegment has selected the device.
  const auto code = launch();
  if (code == decltype(code){}) return absl::OkStatus();
  return StatusOf(code, absl::StrCat(describe(), " captured on device ", device_));
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
  return Run(call, [&] { return LaunchGemm(call, handle_); }, [&] { return GemmText(call); });
}

absl::Status CublasLibrary::AddBias(const BiasCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchAddBias(call, stream_); },
             [&] { return absl::StrCat("add_bias rows=", call.rows, " cols=", call.cols, " ", AxisText(call.axis)); });
}

absl::Status CublasLibrary::BiasGradient(const BiasGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchBiasGradient(call, partials_, stream_); }, [&] {
    return absl::StrCat("bias_gradient rows=", call.rows, " cols=", call.cols, " ", AxisText(call.axis));
  });
}

absl::Status CublasLibrary::ReluBackward(const ReluBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchReluBackward(call, stream_); },
             [&] { return absl::StrCat("relu_backward count=", call.count); });
}

absl::Status CublasLibrary::Im2Col(const Im2ColCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchIm2Col(call, stream_); },
             [&] { return absl::StrCat("im2col ", ConvText(call.shape, call.image_begin, call.image_count)); });
}

absl::Status CublasLibrary::Col2Im(const Col2ImCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchCol2Im(call, stream_); },
             [&] { return absl::StrCat("col2im ", ConvText(call.shape, call.image_begin, call.image_count)); });
}

absl::Status CublasLibrary::Convolution(const ConvolutionCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return ConvolutionByGemm(call, *this);
}

absl::Status CublasLibrary::ConvolutionWeightGradient(const ConvolutionWeightGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return ConvolutionWeightGradientByGemm(call, *this);
}

absl::Status CublasLibrary::ConvolutionInputGradient(const ConvolutionInputGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return ConvolutionInputGradientByGemm(call, *this);
}

int64_t CublasLibrary::convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const {
  return ConvolutionByGemmScratchFloats(*this, largest);
}

absl::Status CublasLibrary::MaxPool(const MaxPoolCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchMaxPool(call, stream_); },
             [&] { return absl::StrCat("max_pool ", PlanesText(call.planes, call.height, call.width)); });
}

absl::Status CublasLibrary::MaxPoolBackward(const MaxPoolBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchMaxPoolBackward(call, stream_); },
             [&] { return absl::StrCat("max_pool_backward ", PlanesText(call.planes, call.height, call.width)); });
}

absl::Status CublasLibrary::SwapAxes(const SwapAxesCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchSwapAxes(call, stream_); }, [&] {
    return absl::StrCat("swap_axes outer_a=", call.outer_a, " outer_b=", call.outer_b, " inner=", call.inner);
  });
}

absl::Status CublasLibrary::SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchSoftmaxCrossEntropy(call, &bad_rows_->label, stream_); },
             [&] { return absl::StrCat("softmax_cross_entropy rows=", call.rows, " classes=", call.classes); });
}

absl::Status CublasLibrary::FillZero(float* data, int64_t count) {
  RM_RETURN_IF_ERROR(CheckSize("fill_zero", "count", count));
  const FillZeroCall call = {data, count};
  return Run(
      call, [&] { return count == 0 ? cudaSuccess : cudaMemsetAsync(data, 0, count * sizeof(float), stream_); },
      [&] { return absl::StrCat("fill_zero count=", count); });
}

absl::Status CublasLibrary::Relu(const ReluCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchRelu(call, stream_); }, [&] { return CountText("relu", call.count); });
}

absl::Status CublasLibrary::Add(const AddCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchAdd(call, stream_); }, [&] { return CountText("add", call.count); });
}

absl::Status CublasLibrary::Gelu(const GeluCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchGelu(call, stream_); },
             [&] { return absl::StrCat("gelu rows=", call.rows, " cols=", call.cols); });
}

absl::Status CublasLibrary::GeluBackward(const GeluBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchGeluBackward(call, stream_); }, [&] { return CountText("gelu_backward", call.count); });
}

absl::Status CublasLibrary::Dropout(const DropoutCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchDropout(call, stream_); },
             [&] { return absl::StrCat("dropout count=", call.count, " rate=", call.rate); });
}

absl::Status CublasLibrary::Encode(const EncodeCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchEncode(call, stream_); }, [&] {
    return absl::StrCat("encode kind=", static_cast<int>(call.kind), " count=", call.count, " kept=", call.kept);
  });
}

int64_t CublasLibrary::encode_scratch_bytes(EncodeKind kind, int64_t count) const {
  return EncodeScratchBytes(kind, count);
}

absl::Status CublasLibrary::AveragePool(const AveragePoolCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchAveragePool(call, stream_); },
             [&] { return absl::StrCat("average_pool planes=", call.planes, " pixels=", call.pixels); });
}

absl::Status CublasLibrary::AveragePoolBackward(const AveragePoolBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchAveragePoolBackward(call, stream_); },
             [&] { return absl::StrCat("average_pool_backward planes=", call.planes, " pixels=", call.pixels); });
}

absl::Status CublasLibrary::Norm(const NormCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchNorm(call, stream_); }, [&] { return NormText("norm", call.shape); });
}

absl::Status CublasLibrary::NormInference(const NormInferenceCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchNormInference(call, stream_); },
             [&] { return NormText("norm_inference", call.shape); });
}

absl::Status CublasLibrary::NormParamGradient(const NormParamGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchNormParamGradient(call, partials_, stream_); },
             [&] { return NormText("norm_param_gradient", call.shape); });
}

absl::Status CublasLibrary::NormInputGradient(const NormInputGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchNormInputGradient(call, stream_); },
             [&] { return NormText("norm_input_gradient", call.shape); });
}

absl::Status CublasLibrary::Embedding(const EmbeddingCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchEmbedding(call, &bad_rows_->token, stream_); },
             [&] { return EmbeddingText("embedding", call); });
}

absl::Status CublasLibrary::EmbeddingGradient(const EmbeddingGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return Run(call, [&] { return LaunchEmbeddingGradient(call, &bad_rows_->token, stream_); },
             [&] { return EmbeddingText("embedding_gradient", call); });
}

absl::Status CublasLibrary::Attention(const AttentionCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  const auto describe = [&] { return AttentionText("attention", call.shape); };
  RM_RETURN_IF_ERROR(Run(call, [&] { return LaunchAttentionScores(call, handle_); }, describe));
  RM_RETURN_IF_ERROR(Run(call, [&] { return LaunchAttentionSoftmax(call, stream_); }, describe));
  return Run(call, [&] { return LaunchAttentionOutput(call, handle_); }, describe);
}

absl::Status CublasLibrary::AttentionBackward(const AttentionBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  const auto describe = [&] { return AttentionText("attention_backward", call.shape); };
  RM_RETURN_IF_ERROR(Run(call, [&] { return LaunchAttentionProbabilityGradient(call, handle_); }, describe));
  RM_RETURN_IF_ERROR(Run(call, [&] { return LaunchAttentionSoftmaxBackward(call, stream_); }, describe));
  return Run(call, [&] { return LaunchAttentionQkvGradient(call, handle_); }, describe);
}

absl::Status CublasLibrary::CopyFloats(const float* from, float* to, int64_t count) {
  RM_RETURN_IF_ERROR(CheckCopyFloats(count));
  const CopyFloatsCall call = {from, to, count};
  return Run(
      call,
      [&] {
        if (count == 0) return cudaSuccess;
        return cudaMemcpyAsync(to, from, count * sizeof(float), cudaMemcpyDeviceToDevice, stream_);
      },
      [&] { return CountText("copy_floats", count); });
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

absl::Status CublasLibrary::StartCopyToHost(const SideCopy& copy) {
  RM_RETURN_IF_ERROR(CheckSize("start_copy_to_host", "size_bytes", copy.size_bytes));
  return side_copies_.Start(copy, cudaMemcpyDeviceToHost, stream_);
}

absl::Status CublasLibrary::StartCopyFromHost(const SideCopy& copy) {
  RM_RETURN_IF_ERROR(CheckSize("start_copy_from_host", "size_bytes", copy.size_bytes));
  return side_copies_.Start(copy, cudaMemcpyHostToDevice, stream_);
}

absl::StatusOr<std::unique_ptr<WorkPoint>> CublasLibrary::CreatePoint() { return CudaPoint::Create(device_); }

absl::Status CublasLibrary::Mark(WorkPoint& point) {
  RM_RETURN_IF_ERROR(Run([] { return cudaSuccess; }, [] { return std::string("mark"); }));
  return static_cast<CudaPoint&>(point).Record(stream_);
}

absl::Status CublasLibrary::OrderAfter(WorkPoint& point) {
  RM_RETURN_IF_ERROR(Run([] { return cudaSuccess; }, [] { return std::string("order_after"); }));
  return static_cast<CudaPoint&>(point).Hold(stream_);
}

absl::Status CublasLibrary::RunSegment(absl::FunctionRef<absl::Status()> calls) {
  RM_RETURN_IF_ERROR(Run([] { return cudaSuccess; }, [] { return std::string("run_segment"); }));
  return segments_.Run(calls, stream_);
}

absl::Status CublasLibrary::Finish() {
  RM_RETURN_IF_ERROR(Run(
      [&] {
        const cudaError_t code = cudaStreamSynchronize(stream_);
        return code == cudaSuccess ? cudaGetLastError() : code;
      },
      [] { return std::string("finish"); }));
  const BadRows bad_rows = std::exchange(*bad_rows_, BadRows());
  if (bad_rows.label != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cublas softmax_cross_entropy on device ", device_,
                                                   ": the label in row ", bad_rows.label - 1,
                                                   " is not in [0, classes)"));
  }
  if (bad_rows.token != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cublas embedding on device ", device_, ": the token in row ",
                                                   bad_rows.token - 1, " is not in [0, vocabulary)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<double> CublasLibrary::TimeCalls(absl::FunctionRef<absl::Status()> work) {
  const auto what = [] { return std::string("timing"); };
  Events events;
  RM_RETURN_IF_ERROR(Run([&] { return cudaEventCreate(&events.begin); }, what));
  RM_RETURN_IF_ERROR(Run([&] { return cudaEventCreate(&events.end); }, what));
  RM_RETURN_IF_ERROR(Finish());
  RM_RETURN_IF_ERROR(Run([&] { return cudaEventRecord(events.begin, stream_); }, what));
  RM_RETURN_IF_ERROR(work());
  RM_RETURN_IF_ERROR(Run([&] { return cudaEventRecord(events.end, stream_); }, what));
  RM_RETURN_IF_ERROR(Finish());
  float milliseconds = 0;
  RM_RETURN_IF_ERROR(Run([&] { return cudaEventElapsedTime(&milliseconds, events.begin, events.end); }, what));
  return milliseconds / 1e3;
}

}  // namespace ringmaster
