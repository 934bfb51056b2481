#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_CALL_TEXT_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_CALL_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/kernels/calls.h"

namespace ringmaster {

// Calls as an error names them: the operation and its sizes.

inline std::string CountText(absl::string_view operation, int64_t count) {
  return absl::StrCat(operation, " count=", count);
}

template <typename Call>
std::string BiasText(absl::string_view operation, const Call& call) {
  return absl::StrCat(operation, " rows=", call.rows, " cols=", call.cols,
                      call.axis == BiasAxis::kPerColumn ? " per column" : " per row");
}

inline std::string ConvText(absl::string_view operation, const ConvShape& shape,
                            int64_t image_begin, int64_t image_count) {
  return absl::StrCat(operation, " channels=", shape.channels, " images=", shape.images,
                      " height=", shape.height, " width=", shape.width, " kernel=", shape.kernel,
                      " padding=", shape.padding, " stride=", shape.stride,
                      " image_begin=", image_begin, " image_count=", image_count);
}

template <typename Call>
std::string PlanesText(absl::string_view operation, const Call& call) {
  return absl::StrCat(operation, " planes=", call.planes, " height=", call.height,
                      " width=", call.width);
}

template <typename Call>
std::string PixelsText(absl::string_view operation, const Call& call) {
  return absl::StrCat(operation, " planes=", call.planes, " pixels=", call.pixels);
}

inline std::string NormText(absl::string_view operation, const NormShape& shape) {
  const char* kind = shape.kind == NormKind::kLayer   ? "layer"
                     : shape.kind == NormKind::kBatch ? "batch"
                                                      : "group";
  return absl::StrCat(operation, " kind=", kind, " rows=", shape.rows, " features=", shape.features,
                      " pixels=", shape.pixels, " groups_per_image=", shape.groups_per_image);
}

template <typename Call>
std::string EmbeddingText(absl::string_view operation, const Call& call) {
  return absl::StrCat(operation, " rows=", call.rows, " context=", call.context,
                      " width=", call.width, " vocabulary=", call.vocabulary);
}

inline std::string AttentionText(absl::string_view operation, const AttentionShape& shape) {
  return absl::StrCat(operation, " batch=", shape.batch, " context=", shape.context,
                      " heads=", shape.heads, " head_width=", shape.head_width);
}

inline std::string TextOf(const GemmCall& call) {
  return absl::StrCat("gemm m=", call.m, " n=", call.n, " k=", call.k,
                      call.transpose_a ? " a transposed" : "",
                      call.transpose_b ? " b transposed" : "", " lda=", call.lda, " ldb=", call.ldb,
                      " ldc=", call.ldc, " beta=", call.beta);
}
inline std::string TextOf(const BiasCall& call) { return BiasText("add_bias", call); }
inline std::string TextOf(const BiasGradientCall& call) { return BiasText("bias_gradient", call); }
inline std::string TextOf(const ReluBackwardCall& call) {
  return CountText("relu_backward", call.count);
}
inline std::string TextOf(const Im2ColCall& call) {
  return ConvText("im2col", call.shape, call.image_begin, call.image_count);
}
inline std::string TextOf(const Col2ImCall& call) {
  return ConvText("col2im", call.shape, call.image_begin, call.image_count);
}
inline std::string TextOf(const MaxPoolCall& call) { return PlanesText("max_pool", call); }
inline std::string TextOf(const MaxPoolBackwardCall& call) {
  return PlanesText("max_pool_backward", call);
}
inline std::string TextOf(const SwapAxesCall& call) {
  return absl::StrCat("swap_axes outer_a=", call.outer_a, " outer_b=", call.outer_b,
                      " inner=", call.inner);
}
inline std::string TextOf(const SoftmaxCrossEntropyCall& call) {
  return absl::StrCat("softmax_cross_entropy rows=", call.rows, " classes=", call.classes);
}
inline std::string TextOf(const ReluCall& call) { return CountText("relu", call.count); }
inline std::string TextOf(const AddCall& call) { return CountText("add", call.count); }
inline std::string TextOf(const GeluCall& call) {
  return absl::StrCat("gelu rows=", call.rows, " cols=", call.cols);
}
inline std::string TextOf(const GeluBackwardCall& call) {
  return CountText("gelu_backward", call.count);
}
inline std::string TextOf(const DropoutCall& call) {
  return absl::StrCat("dropout count=", call.count, " rate=", call.rate);
}
inline std::string TextOf(const AveragePoolCall& call) { return PixelsText("average_pool", call); }
inline std::string TextOf(const AveragePoolBackwardCall& call) {
  return PixelsText("average_pool_backward", call);
}
inline std::string TextOf(const NormCall& call) { return NormText("norm", call.shape); }
inline std::string TextOf(const NormInferenceCall& call) {
  return NormText("norm_inference", call.shape);
}
inline std::string TextOf(const NormParamGradientCall& call) {
  return NormText("norm_param_gradient", call.shape);
}
inline std::string TextOf(const NormInputGradientCall& call) {
  return NormText("norm_input_gradient", call.shape);
}
inline std::string TextOf(const EmbeddingCall& call) { return EmbeddingText("embedding", call); }
inline std::string TextOf(const EmbeddingGradientCall& call) {
  return EmbeddingText("embedding_gradient", call);
}
inline std::string TextOf(const AttentionCall& call) {
  return AttentionText("attention", call.shape);
}
inline std::string TextOf(const AttentionBackwardCall& call) {
  return AttentionText("attention_backward", call.shape);
}
inline std::string TextOf(const EncodeCall& call) {
  return absl::StrCat("encode kind=", static_cast<int>(call.kind), " count=", call.count,
                      " kept=", call.kept);
}
inline std::string TextOf(const UpdateCall& call) {
  return absl::StrCat("update kind=", static_cast<int>(call.update.kind), " count=", call.count);
}
inline std::string TextOf(const FillZeroCall& call) { return CountText("fill_zero", call.count); }
inline std::string TextOf(const CopyFloatsCall& call) {
  return CountText("copy_floats", call.count);
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_CALL_TEXT_H_
