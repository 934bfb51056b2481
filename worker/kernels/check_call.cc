#include "worker/kernels/check_call.h"

#include <cstdint>
#include <limits>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ringmaster {
namespace {

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckWindow(absl::string_view operation, const ConvShape& shape, int64_t image_begin,
                         int64_t image_count) {
  const bool sizes_ok = shape.channels >= 0 && shape.images >= 0 && shape.kernel > 0 &&
                        shape.padding >= 0 && shape.stride > 0 &&
                        shape.height + 2 * shape.padding >= shape.kernel &&
                        shape.width + 2 * shape.padding >= shape.kernel;
  if (!sizes_ok) {
    return Refuse(operation, " channels=", shape.channels, " images=", shape.images,
                  " height=", shape.height, " width=", shape.width, " kernel=", shape.kernel,
                  " padding=", shape.padding, " stride=", shape.stride,
                  ": kernel and stride must be positive and the kernel fit the padded image");
  }
  if (image_begin < 0 || image_count < 0 || image_begin + image_count > shape.images) {
    return Refuse(operation, " image_begin=", image_begin, " image_count=", image_count,
                  ": must lie within ", shape.images, " images");
  }
  return absl::OkStatus();
}

// Call: any of the three directions.
template <typename Call>
absl::Status CheckConvolution(absl::string_view operation, const Call& call) {
  if (absl::Status status = CheckWindow(operation, call.shape, 0, 0); !status.ok()) return status;
  if (call.out_channels < 1 || call.shape.images > call.largest.images) {
    return Refuse(operation, " out_channels=", call.out_channels, " images=", call.shape.images,
                  ": out_channels must be positive, and images at most ", call.largest.images);
  }
  return absl::OkStatus();
}

absl::Status CheckPlanes(absl::string_view operation, int64_t planes, int64_t height,
                         int64_t width) {
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

absl::Status CheckCount(absl::string_view operation, int64_t count) {
  if (count < 0) return Refuse(operation, " count=", count, ": must not be negative");
  return absl::OkStatus();
}

absl::Status CheckPixels(absl::string_view operation, int64_t planes, int64_t pixels) {
  if (planes < 0 || pixels < 1) {
    return Refuse(operation, " planes=", planes, " pixels=", pixels,
                  ": planes must not be negative, and the mean needs a pixel");
  }
  return absl::OkStatus();
}

absl::string_view NameOf(NormKind kind) {
  switch (kind) {
    case NormKind::kLayer:
      return "layer";
    case NormKind::kBatch:
      return "batch";
    case NormKind::kGroup:
      return "group";
  }
  return "unknown";
}

std::string Describe(const NormShape& shape) {
  return absl::StrCat("kind=", NameOf(shape.kind), " rows=", shape.rows,
                      " features=", shape.features, " pixels=", shape.pixels,
                      " groups_per_image=", shape.groups_per_image);
}

absl::Status CheckNorm(absl::string_view operation, const NormShape& shape) {
  const int64_t rows_min = shape.kind == NormKind::kBatch ? 1 : 0;
  if (shape.rows < rows_min || shape.features < 1 || shape.pixels < 1) {
    return Refuse(operation, " ", Describe(shape),
                  ": features and pixels must be positive and rows at least ", rows_min);
  }
  if (shape.kind == NormKind::kLayer && shape.pixels != 1) {
    return Refuse(operation, " ", Describe(shape), ": a layer norm has 1 pixel");
  }
  const bool groups_fit =
      shape.groups_per_image > 0 && shape.features % shape.groups_per_image == 0;
  if (shape.kind == NormKind::kGroup && !groups_fit) {
    return Refuse(operation, " ", Describe(shape), ": groups_per_image must divide features");
  }
  return absl::OkStatus();
}

absl::Status CheckEpsilon(absl::string_view operation, const NormShape& shape, float epsilon) {
  if (epsilon > 0) return absl::OkStatus();
  return Refuse(operation, " ", Describe(shape), " epsilon=", epsilon,
                ": epsilon must be positive");
}

template <typename Call>
absl::Status CheckTable(absl::string_view operation, const Call& call) {
  if (call.rows < 0 || call.context < 1 || call.width < 1 || call.vocabulary < 1) {
    return Refuse(operation, " rows=", call.rows, " context=", call.context, " width=", call.width,
                  " vocabulary=", call.vocabulary,
                  ": rows must not be negative and the others be positive");
  }
  return absl::OkStatus();
}

template <typename Call>
absl::Status CheckTokens(absl::string_view operation, const Call& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.tokens[row] < 0 || call.tokens[row] >= call.vocabulary) {
      return Refuse(operation, ": token ", call.tokens[row], " in row ", row, " of ", call.rows,
                    ": must be in [0, ", call.vocabulary, ")");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHeads(absl::string_view operation, const AttentionShape& shape) {
  if (shape.batch < 0 || shape.context < 1 || shape.heads < 1 || shape.head_width < 1) {
    return Refuse(operation, " batch=", shape.batch, " context=", shape.context,
                  " heads=", shape.heads, " head_width=", shape.head_width,
                  ": batch must not be negative and the others be positive");
  }
  return absl::OkStatus();
}

absl::Status Check(const GemmCall& call) {
  const int64_t a_row = call.transpose_a ? call.m : call.k;
  const int64_t b_row = call.transpose_b ? call.k : call.n;
  const bool sizes_ok = call.m >= 0 && call.n >= 0 && call.k >= 0;
  if (!sizes_ok || call.lda < a_row || call.ldb < b_row || call.ldc < call.n) {
    return Refuse("gemm m=", call.m, " n=", call.n, " k=", call.k, " lda=", call.lda,
                  " ldb=", call.ldb, " ldc=", call.ldc,
                  ": sizes must not be negative and the row lengths at least ", a_row, ", ", b_row,
                  ", ", call.n);
  }
  return absl::OkStatus();
}

absl::Status Check(const BiasCall& call) { return CheckMatrix("bias", call.rows, call.cols); }

absl::Status Check(const BiasGradientCall& call) {
  return CheckMatrix("bias gradient", call.rows, call.cols);
}

absl::Status Check(const ReluBackwardCall& call) {
  return CheckMatrix("relu backward", 1, call.count);
}

absl::Status Check(const Im2ColCall& call) {
  return CheckWindow("im2col", call.shape, call.image_begin, call.image_count);
}

absl::Status Check(const Col2ImCall& call) {
  return CheckWindow("col2im", call.shape, call.image_begin, call.image_count);
}

absl::Status Check(const ConvolutionCall& call) { return CheckConvolution("convolution", call); }

absl::Status Check(const ConvolutionWeightGradientCall& call) {
  return CheckConvolution("convolution weight gradient", call);
}

absl::Status Check(const ConvolutionInputGradientCall& call) {
  return CheckConvolution("convolution input gradient", call);
}

absl::Status Check(const MaxPoolCall& call) {
  return CheckPlanes("max pool", call.planes, call.height, call.width);
}

absl::Status Check(const MaxPoolBackwardCall& call) {
  return CheckPlanes("max pool backward", call.planes, call.height, call.width);
}

absl::Status Check(const SwapAxesCall& call) {
  if (call.outer_a < 0 || call.outer_b < 0 || call.inner < 0) {
    return Refuse("swap axes outer_a=", call.outer_a, " outer_b=", call.outer_b,
                  " inner=", call.inner, ": sizes must not be negative");
  }
  return absl::OkStatus();
}

absl::Status Check(const SoftmaxCrossEntropyCall& call) {
  if (call.rows < 0 || call.classes < 1) {
    return Refuse("softmax cross entropy rows=", call.rows, " classes=", call.classes,
                  ": at least one class is needed");
  }
  return absl::OkStatus();
}

absl::Status Check(const ReluCall& call) { return CheckCount("relu", call.count); }

absl::Status Check(const AddCall& call) { return CheckCount("add", call.count); }

absl::Status Check(const GeluCall& call) { return CheckMatrix("gelu", call.rows, call.cols); }

absl::Status Check(const GeluBackwardCall& call) { return CheckCount("gelu backward", call.count); }

absl::Status Check(const DropoutCall& call) {
  if (call.count < 0 || !(call.rate >= 0.0f && call.rate < 1.0f)) {
    return Refuse("dropout count=", call.count, " rate=", call.rate,
                  ": count must not be negative and rate be in [0, 1)");
  }
  return absl::OkStatus();
}

absl::Status Check(const EncodeCall& call) {
  const bool is_topk = call.kind == EncodeKind::kTopk;
  if (call.count < 1 || call.count > std::numeric_limits<int32_t>::max() ||
      (is_topk && (call.kept < 1 || call.kept > call.count))) {
    return Refuse("encode count=", call.count, " kept=", call.kept,
                  ": count must be in [1, 2^31), and of topk kept in [1, count]");
  }
  if (HasLevels(call.kind) && call.block < 1)
    return Refuse("encode count=", call.count, " block=", call.block, ": must be positive");
  if (reinterpret_cast<uintptr_t>(call.out) % 8 != 0 ||
      reinterpret_cast<uintptr_t>(call.scratch) % 8 != 0) {
    return Refuse("encode count=", call.count,
                  ": out and scratch must lie at multiples of 8 bytes");
  }
  return absl::OkStatus();
}

absl::Status Check(const UpdateCall& call) {
  if (absl::Status status = CheckCount("update", call.count); !status.ok()) return status;
  const int given = (call.first != nullptr ? 1 : 0) + (call.second != nullptr ? 1 : 0);
  const int arrays = StateArraysOf(call.update.kind);
  if (call.count > 0 && given != arrays) {
    return Refuse("update count=", call.count, ": its kind has ", arrays, " arrays of state, not ",
                  given);
  }
  return absl::OkStatus();
}

absl::Status Check(const AveragePoolCall& call) {
  return CheckPixels("average pool", call.planes, call.pixels);
}

absl::Status Check(const AveragePoolBackwardCall& call) {
  return CheckPixels("average pool backward", call.planes, call.pixels);
}

absl::Status Check(const NormCall& call) {
  if (absl::Status status = CheckNorm("norm", call.shape); !status.ok()) return status;
  if (absl::Status status = CheckEpsilon("norm", call.shape, call.epsilon); !status.ok())
    return status;
  if (call.variance != nullptr && call.shape.elements_per_group() < 2) {
    return Refuse("norm ", Describe(call.shape),
                  ": a corrected variance needs at least 2 elements in a group, not ",
                  call.shape.elements_per_group());
  }
  return absl::OkStatus();
}

absl::Status Check(const NormInferenceCall& call) {
  if (call.shape.kind != NormKind::kBatch) {
    return Refuse("norm inference ", Describe(call.shape), ": only a batch norm keeps statistics");
  }
  if (absl::Status status = CheckNorm("norm inference", call.shape); !status.ok()) return status;
  return CheckEpsilon("norm inference", call.shape, call.epsilon);
}

absl::Status Check(const NormParamGradientCall& call) {
  return CheckNorm("norm parameter gradient", call.shape);
}

absl::Status Check(const NormInputGradientCall& call) {
  return CheckNorm("norm input gradient", call.shape);
}

absl::Status Check(const EmbeddingCall& call) { return CheckTable("embedding", call); }

absl::Status Check(const EmbeddingGradientCall& call) {
  return CheckTable("embedding gradient", call);
}

absl::Status Check(const AttentionCall& call) { return CheckHeads("attention", call.shape); }

absl::Status Check(const AttentionBackwardCall& call) {
  return CheckHeads("attention backward", call.shape);
}

absl::Status Check(const FillZeroCall& call) { return CheckCount("fill zero", call.count); }

absl::Status Check(const CopyFloatsCall& call) { return CheckCount("copy floats", call.count); }

absl::Status CheckIndicesOf(const SoftmaxCrossEntropyCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    if (call.labels[row] < 0 || call.labels[row] >= call.classes) {
      return Refuse("softmax cross entropy: label ", call.labels[row], " in row ", row, " of ",
                    call.rows, ": must be in [0, ", call.classes, ")");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckIndicesOf(const EmbeddingCall& call) { return CheckTokens("embedding", call); }

absl::Status CheckIndicesOf(const EmbeddingGradientCall& call) {
  return CheckTokens("embedding gradient", call);
}

// The others have none.
template <typename Call>
absl::Status CheckIndicesOf(const Call&) {
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCall(const Operation& operation) {
  return std::visit([](const auto& call) { return Check(call); }, operation);
}

absl::Status CheckIndices(const Operation& operation) {
  return std::visit([](const auto& call) { return CheckIndicesOf(call); }, operation);
}

}  // namespace ringmaster
