#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_CALL_TEXT_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_CALL_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// The sizes of calls as an error names them.

inline std::string AxisText(BiasAxis axis) { return axis == BiasAxis::kPerColumn ? "per column" : "per row"; }

inline std::string ConvText(const ConvShape& shape, int64_t image_begin, int64_t image_count) {
  return absl::StrCat("channels=", shape.channels, " images=", shape.images, " height=", shape.height,
                      " width=", shape.width, " kernel=", shape.kernel, " padding=", shape.padding,
                      " stride=", shape.stride, " image_begin=", image_begin, " image_count=", image_count);
}

inline std::string PlanesText(int64_t planes, int64_t height, int64_t width) {
  return absl::StrCat("planes=", planes, " height=", height, " width=", width);
}

inline std::string CountText(absl::string_view operation, int64_t count) {
  return absl::StrCat(operation, " count=", count);
}

inline std::string NormText(absl::string_view operation, const NormShape& shape) {
  const char* kind = shape.kind == NormKind::kLayer ? "layer" : shape.kind == NormKind::kBatch ? "batch" : "group";
  return absl::StrCat(operation, " kind=", kind, " rows=", shape.rows, " features=", shape.features, " pixels=",
                      shape.pixels, " groups_per_image=", shape.groups_per_image);
}

template <typename Call>
std::string EmbeddingText(absl::string_view operation, const Call& call) {
  return absl::StrCat(operation, " rows=", call.rows, " context=", call.context, " width=", call.width,
                      " vocabulary=", call.vocabulary);
}

inline std::string AttentionText(absl::string_view operation, const AttentionShape& shape) {
  return absl::StrCat(operation, " batch=", shape.batch, " context=", shape.context, " heads=", shape.heads,
                      " head_width=", shape.head_width);
}

inline std::string GemmText(const GemmCall& call) {
  return absl::StrCat("gemm m=", call.m, " n=", call.n, " k=", call.k, call.transpose_a ? " a transposed" : "",
                      call.transpose_b ? " b transposed" : "", " lda=", call.lda, " ldb=", call.ldb,
                      " ldc=", call.ldc, " beta=", call.beta);
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_CALL_TEXT_H_
