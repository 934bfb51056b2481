#ifndef RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/tensor/tensor.h"

namespace ringmaster {

// All matrices are row-major floats in the library's own place (host or device). Activations of convolutional layers
// are channel-major, [channels][images][height][width] ("CNHW"): one convolution is then one GEMM whose output is the
// next layer's input. Calls may run asynchronously on the library's stream, in the order they are made.

// c[m, n] = alpha * op(a) op(b) + beta * c, op(x) = x or its transpose; beta = 0 never reads c. lda, ldb, ldc: the
// stored row lengths.
struct GemmCall {
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  float alpha = 1.0f;
  const float* a = nullptr;
  int64_t lda = 0;
  const float* b = nullptr;
  int64_t ldb = 0;
  float beta = 0.0f;
  float* c = nullptr;
  int64_t ldc = 0;
};

// Whether a bias belongs to each column (fully connected, [batch, features]) or each row (CNHW, [channels, ...]).
enum class BiasAxis { kPerColumn, kPerRow };

// data[rows, cols] += bias, and relu(data) after it when `relu` is set. relu(x) = 0 > x ? 0 : x, so that NaN stays NaN.
struct BiasCall {
  float* data = nullptr;
  int64_t rows = 0, cols = 0;
  const float* bias = nullptr;
  BiasAxis axis = BiasAxis::kPerColumn;
  bool relu = false;
};

// bias_gradient = the sums of gradient[rows, cols] along the other axis (overwrites).
struct BiasGradientCall {
  const float* gradient = nullptr;
  int64_t rows = 0, cols = 0;
  float* bias_gradient = nullptr;
  BiasAxis axis = BiasAxis::kPerColumn;
};

// gradient[i] = output[i] > 0 ? gradient[i] : 0, for the relu that made `output`; in place.
struct ReluBackwardCall {
  const float* output = nullptr;
  float* gradient = nullptr;
  int64_t count = 0;
};

// The window of a convolution over CNHW images, stride 1: out = in + 2 * padding - kernel + 1.
struct ConvShape {
  int64_t channels = 0, images = 0, height = 0, width = 0;  // of the whole input
  int64_t kernel = 0, padding = 0;
  int64_t out_height() const { return height + 2 * padding - kernel + 1; }
  int64_t out_width() const { return width + 2 * padding - kernel + 1; }
};

// columns[(c * kernel + ky) * kernel + kx][(i * oh + y) * ow + x] = input[c][image_begin + i][y + ky - p][x + kx - p],
// 0 outside the image, for image_count images from image_begin on. Row length: image_count * oh * ow.
struct Im2ColCall {
  ConvShape shape;
  int64_t image_begin = 0, image_count = 0;
  const float* input = nullptr;
  float* columns = nullptr;
};

// The transpose of im2col: input_gradient of the images in the range += columns. Other images are left alone.
struct Col2ImCall {
  ConvShape shape;
  int64_t image_begin = 0, image_count = 0;
  const float* columns = nullptr;
  float* input_gradient = nullptr;
};

// 2x2 maximum pooling with stride 2 of `planes` images [height][width], both even. argmax holds for each output the
// position 0..3 (row-major in the window) of the first largest value; output [planes][height/2][width/2].
struct MaxPoolCall {
  int64_t planes = 0, height = 0, width = 0;
  const float* input = nullptr;
  float* output = nullptr;
  uint8_t* argmax = nullptr;
};

// input_gradient = output_gradient at the argmax, 0 elsewhere (overwrites every element).
struct MaxPoolBackwardCall {
  int64_t planes = 0, height = 0, width = 0;  // of the input
  const float* output_gradient = nullptr;
  const uint8_t* argmax = nullptr;
  float* input_gradient = nullptr;
};

// Swaps the two outer axes: output[b][a][i] = input[a][b][i], inner = elements of i. CNHW <-> NCHW.
struct SwapAxesCall {
  int64_t outer_a = 0, outer_b = 0, inner = 0;
  const float* input = nullptr;
  float* output = nullptr;
};

// For each row of logits[rows, classes] with label l in [0, classes): row_loss = -log softmax(logits)[l]; row_correct
// = 1 when l is the first largest logit, else 0; and, unless null, gradient = (softmax(logits) - onehot(l)) *
// gradient_scale.
struct SoftmaxCrossEntropyCall {
  int64_t rows = 0, classes = 0;
  const float* logits = nullptr;
  const int32_t* labels = nullptr;
  float* row_loss = nullptr;
  float* row_correct = nullptr;
  float* gradient = nullptr;
  float gradient_scale = 1.0f;  // 1/rows for the mean loss
};

// The operations of forward and backward, on one device. `reference` is naive and the oracle of the others; `cpu` uses
// a BLAS and SIMD; `cublas` CUDA kernels and cuBLAS. One thread at a time. Same inputs, same bits, on one machine.
// Every operation answers InvalidArgument with its sizes for a call that makes no sense (negative sizes, rows shorter
// than their contents), and has then written nothing. Memory of one call does not overlap, unless it is named in
// place.
class KernelLibrary {
 public:
  virtual ~KernelLibrary() = default;
  virtual absl::string_view name() const = 0;
  virtual Place place() const = 0;
  // What the operations run on, as far as it decides their bits ("onednn 2.6.3 avx512_core_bf16", "sm_90 NVIDIA
  // H200"): all ranks of a run agree on it.
  virtual std::string target() const = 0;
  // Scratch of this size is still worked on at full speed (it stays in a core's own cache): layers cut their column
  // blocks to it.
  virtual int64_t fast_scratch_bytes() const { return int64_t{1} << 20; }

  // Memory in place(), and host memory from which copies to the device are fast; not initialized.
  virtual absl::StatusOr<Buffer> Allocate(int64_t size_bytes) = 0;
  virtual absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) = 0;

  virtual absl::Status Gemm(const GemmCall& call) = 0;
  virtual absl::Status AddBias(const BiasCall& call) = 0;
  virtual absl::Status BiasGradient(const BiasGradientCall& call) = 0;
  virtual absl::Status ReluBackward(const ReluBackwardCall& call) = 0;
  virtual absl::Status Im2Col(const Im2ColCall& call) = 0;
  virtual absl::Status Col2Im(const Col2ImCall& call) = 0;
  virtual absl::Status MaxPool(const MaxPoolCall& call) = 0;
  virtual absl::Status MaxPoolBackward(const MaxPoolBackwardCall& call) = 0;
  virtual absl::Status SwapAxes(const SwapAxesCall& call) = 0;
  virtual absl::Status SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) = 0;
  virtual absl::Status FillZero(float* data, int64_t count) = 0;

  // Asynchronous on the stream; the host side must stay until Finish. On a host library plain copies.
  virtual absl::Status CopyToHost(const void* from, void* to, int64_t size_bytes) = 0;
  virtual absl::Status CopyFromHost(const void* from, void* to, int64_t size_bytes) = 0;
  // Waits for everything called so far and reports deferred errors.
  virtual absl::Status Finish() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_
