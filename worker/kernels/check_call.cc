#include "worker/kernels/check_call.h"

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckWindow(absl::string_view operation, const ConvShape& shape, int64_t image_begin,
                         int64_t image_count) {
  const bool sizes_ok = shape.channels >= 0 && shape.images >= 0 && shape.kernel > 0 && shape.padding >= 0 &&
                        shape.out_height() > 0 && shape.out_width() > 0;
  if (!sizes_ok) {
    return Refuse(operation, " channels=", shape.channels, " images=", shape.images, " height=", shape.height,
                  " width=", shape.width, " kernel=", shape.kernel, " padding=", shape.padding,
                  ": the kernel must be positive and fit the padded image");
  }
  if (image_begin < 0 || image_count < 0 || image_begin + image_count > shape.images) {
    return Refuse(operation, " image_begin=", image_begin, " image_count=", image_count, ": must lie within ",
                  shape.images, " images");
  }
  return absl::OkStatus();
}

absl::Status CheckPlanes(absl::string_view operation, int64_t planes, int64_t height, int64_t width) {
  if (planes < 0 || height < 0 || width < 0 || height % 2 != 0 || width % 2 != 0) {
    return Refuse(operation, " planes=", planes, " height=", height, " width=", width,
                  ": height and width must be even");
  }
  return absl::OkStatus();
}

absl::Status CheckMatrix(absl::string_view operation, int64_t rows, int64_t cols) {
  if (rows < 0 || cols < 0) {
    return Refuse(operation, " rows=", rows, " cols=", cols, ": sizes must not be negative");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCall(const GemmCall& call) {
  const int64_t a_row = call.transpose_a ? call.m : call.k;
  const int64_t b_row = call.transpose_b ? call.k : call.n;
  const bool sizes_ok = call.m >= 0 && call.n >= 0 && call.k >= 0;
  if (!sizes_ok || call.lda < a_row || call.ldb < b_row || call.ldc < call.n) {
    return Refuse("gemm m=", call.m, " n=", call.n, " k=", call.k, " lda=", call.lda, " ldb=", call.ldb,
                  " ldc=", call.ldc, ": sizes must not be negative and the row lengths at least ", a_row, ", ", b_row,
                  ", ", call.n);
  }
  return absl::OkStatus();
}

absl::Status CheckCall(const BiasCall& call) { return CheckMatrix("bias", call.rows, call.cols); }

absl::Status CheckCall(const BiasGradientCall& call) { return CheckMatrix("bias gradient", call.rows, call.cols); }

absl::Status CheckCall(const ReluBackwardCall& call) { return CheckMatrix("relu backward", 1, call.count); }

absl::Status CheckCall(const Im2ColCall& call) {
  return CheckWindow("im2col", call.shape, call.image_begin, call.image_count);
}

absl::Status CheckCall(const Col2ImCall& call) {
  return CheckWindow("col2im", call.shape, call.image_begin, call.image_count);
}

absl::Status CheckCall(const MaxPoolCall& call) {
  return CheckPlanes("max pool", call.planes, call.height, call.width);
}

absl::Status CheckCall(const MaxPoolBackwardCall& call) {
  return CheckPlanes("max pool backward", call.planes, call.height, call.width);
}

absl::Status CheckCall(const SwapAxesCall& call) {
  if (call.outer_a < 0 || call.outer_b < 0 || call.inner < 0) {
    return Refuse("swap axes outer_a=", call.outer_a, " outer_b=", call.outer_b, " inner=", call.inner,
                  ": sizes must not be negative");
  }
  return absl::OkStatus();
}

absl::Status CheckCall(const SoftmaxCrossEntropyCall& call) {
  if (call.rows < 0 || call.classes < 1) {
    return Refuse("softmax cross entropy rows=", call.rows, " classes=", call.classes,
                  ": at least one class is needed");
  }
  return absl::OkStatus();
}

absl::Status CheckLabels(const SoftmaxCrossEntropyCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.labels[row] < 0 || call.labels[row] >= call.classes) {
      return Refuse("softmax cross entropy: label ", call.labels[row], " in row ", row, " of ", call.rows,
                    ": must be in [0, ", call.classes, ")");
    }
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
