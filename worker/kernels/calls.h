#ifndef RINGMASTER_WORKER_KERNELS_CALLS_H_
#define RINGMASTER_WORKER_KERNELS_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "common/codec/encode_kind.h"
#include "common/update/element_update.h"

namespace ringmaster {

// All matrices are row-major floats in the library's own place (host or device). Activations of
// convolutional layers are channel-major, [channels][images][height][width] ("CNHW"): one
// convolution is then one GEMM whose output is the next layer's input. Calls may run asynchronously
// on the library's stream, in the order they are made.

// c[m, n] = alpha * op(a) op(b) + beta * c, op(x) = x or its transpose; beta = 0 never reads c.
// lda, ldb, ldc: the stored row lengths.
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

// Whether a bias belongs to each column (fully connected, [batch, features]) or each row (CNHW,
// [channels, ...]).
enum class BiasAxis { kPerColumn, kPerRow };

// data[rows, cols] += bias, and relu(data) after it when `relu` is set. relu(x) = 0 > x ? 0 : x, so
// that NaN stays NaN.
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

// The window of a convolution over CNHW images: out = (in + 2 * padding - kernel) div stride + 1.
// stride >= 1, and the kernel fits the padded image.
struct ConvShape {
  int64_t channels = 0, images = 0, height = 0, width = 0;  // of the whole input
  int64_t kernel = 0, padding = 0;
  int64_t stride = 1;
  int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

// columns[(c * kernel + ky) * kernel + kx][(i * oh + y) * ow + x] =
// input[c][image_begin + i][y * stride + ky - p][x * stride + kx - p], 0 outside the image, for
// image_count images from image_begin on. Row length: image_count * oh * ow.
struct Im2ColCall {
  ConvShape shape;
  int64_t image_begin = 0, image_count = 0;
  const float* input = nullptr;
  float* columns = nullptr;
};

// The transpose of im2col: input_gradient of the images in the range += columns. Other images are
// left alone.
struct Col2ImCall {
  ConvShape shape;
  int64_t image_begin = 0, image_count = 0;
  const float* columns = nullptr;
  float* input_gradient = nullptr;
};

// The three directions of a convolution without bias, over all images of `shape`;
// weights[out_channels][channels][kernel] [kernel], outputs [out_channels][images][oh][ow].
// `scratch` holds KernelLibrary::convolution_scratch_floats for `largest`, the shape with as many
// images as there ever are: how the sums are cut may follow from it, and never follows from
// `images`.
struct ConvolutionCall {
  ConvShape shape, largest;
  int64_t out_channels = 0;
  const float* input = nullptr;
  const float* weights = nullptr;
  float* output = nullptr;  // overwritten
  float* scratch = nullptr;
};

struct ConvolutionWeightGradientCall {
  ConvShape shape, largest;
  int64_t out_channels = 0;
  const float* input = nullptr;
  const float* output_gradient = nullptr;
  float* weight_gradient = nullptr;  // overwritten
  float* scratch = nullptr;
};

struct ConvolutionInputGradientCall {
  ConvShape shape, largest;
  int64_t out_channels = 0;
  const float* weights = nullptr;
  const float* output_gradient = nullptr;
  float* input_gradient = nullptr;  // overwritten
  float* scratch = nullptr;
};

// 2x2 maximum pooling with stride 2 of `planes` images [height][width], both even. argmax holds for
// each output the position 0..3 (row-major in the window) of the first largest value; output
// [planes][height/2][width/2].
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

// For each row of logits[rows, classes] with label l in [0, classes): row_loss = -log
// softmax(logits)[l]; row_correct = 1 when l is the first largest logit, else 0; and, unless null,
// gradient = (softmax(logits) - onehot(l)) * gradient_scale.
struct SoftmaxCrossEntropyCall {
  int64_t rows = 0, classes = 0;
  const float* logits = nullptr;
  const int32_t* labels = nullptr;
  float* row_loss = nullptr;
  float* row_correct = nullptr;
  float* gradient = nullptr;
  float gradient_scale = 1.0f;  // 1/rows for the mean loss
};

// data[i] = 0 > data[i] ? 0 : data[i], in place; NaN stays NaN.
struct ReluCall {
  float* data = nullptr;
  int64_t count = 0;
};

// output[i] += input[i].
struct AddCall {
  const float* input = nullptr;
  float* output = nullptr;
  int64_t count = 0;
};

// input[rows, cols] += bias[cols] in place (unless bias is null), and output = gelu(input) of that.
// GELU in its tanh form, as in GPT-2: gelu(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).
// Source: Hendrycks and Gimpel 2016.
struct GeluCall {
  float* input = nullptr;
  int64_t rows = 0, cols = 0;
  const float* bias = nullptr;
  float* output = nullptr;
};

// gradient[i] *= gelu'(input[i]), in place; `input` as GeluCall left it.
struct GeluBackwardCall {
  const float* input = nullptr;
  float* gradient = nullptr;
  int64_t count = 0;
};

// Inverted dropout, in place: data[i] = kept(seed, i) ? data[i] / (1 - rate) : 0, kept with
// probability 1 - rate by a hash of seed and i (worker/kernels/dropout_mask.h), the same on every
// library. The gradient takes the same call. 0 <= rate < 1.
struct DropoutCall {
  float* data = nullptr;
  int64_t count = 0;
  float rate = 0;
  uint64_t seed = 0;
};

// output[p] = mean(input[p][0..pixels)), for each of `planes` images; pixels >= 1.
struct AveragePoolCall {
  int64_t planes = 0, pixels = 0;
  const float* input = nullptr;
  float* output = nullptr;
};

// input_gradient[p][i] = output_gradient[p] / pixels (overwrites).
struct AveragePoolBackwardCall {
  int64_t planes = 0, pixels = 0;
  const float* output_gradient = nullptr;
  float* input_gradient = nullptr;
};

// What a normalization is over. Elements with one (mean, deviation) form a group; `gain` and `bias`
// belong to features.
//   layer: each row of input[rows, features] is a group (transformers).
//   batch: input[features][images * pixels] (CNHW): each feature's row is a group.
//   group: input[features][images][pixels] (CNHW): each image's features / groups_per_image
//     neighbouring channels.
enum class NormKind { kLayer, kBatch, kGroup };

// features, pixels and groups_per_image are at least 1, and so is `rows` of a batch norm.
struct NormShape {
  NormKind kind = NormKind::kLayer;
  int64_t rows = 0;  // layer: rows; batch and group: images
  int64_t features = 0;
  int64_t pixels = 1;            // of one image; 1 for layer
  int64_t groups_per_image = 1;  // group only; divides features
  int64_t count() const { return rows * features * pixels; }
  // How many (mean, deviation) pairs there are: layer [rows], batch [features], group
  // [images][groups_per_image].
  int64_t groups() const {
    return kind == NormKind::kLayer   ? rows
           : kind == NormKind::kBatch ? features
                                      : rows * groups_per_image;
  }
  // Elements that share a (mean, deviation): layer features, batch images * pixels, group channels
  // of a group * pixels.
  int64_t elements_per_group() const {
    return kind == NormKind::kLayer
               ? features
               : pixels * (kind == NormKind::kBatch ? rows : features / groups_per_image);
  }
};

// output = (input - mean) * inverse_deviation * gain + bias, with mean and inverse_deviation = 1 /
// sqrt(variance + epsilon) of each group, variance over the group's n elements without correction;
// both are kept for the backward calls. epsilon > 0. The corrected `variance` needs n >= 2. Not in
// place.
struct NormCall {
  NormShape shape;
  float epsilon = 1e-5f;
  const float* input = nullptr;
  const float* gain = nullptr;  // [features]
  const float* bias = nullptr;  // [features]
  float* output = nullptr;
  float* mean = nullptr;               // [groups()]
  float* inverse_deviation = nullptr;  // [groups()]
  // [groups()], corrected by n / (n - 1), for running statistics; or null
  float* variance = nullptr;
};

// The batch norm of evaluation: output = (input - mean) / sqrt(variance + epsilon) * gain + bias
// with given statistics [features]; shape.kind is kBatch.
struct NormInferenceCall {
  NormShape shape;
  float epsilon = 1e-5f;
  const float* input = nullptr;
  const float* mean = nullptr;
  const float* variance = nullptr;
  const float* gain = nullptr;
  const float* bias = nullptr;
  float* output = nullptr;
};

// gain_gradient[f] = sum of output_gradient * (input - mean) * inverse_deviation over all elements
// of feature f, bias_gradient[f] = sum of output_gradient (both overwritten).
struct NormParamGradientCall {
  NormShape shape;
  const float* input = nullptr;
  const float* mean = nullptr;
  const float* inverse_deviation = nullptr;
  const float* output_gradient = nullptr;
  float* gain_gradient = nullptr;
  float* bias_gradient = nullptr;
};

// The gradient of NormCall's input, through mean and deviation too (overwrites input_gradient).
struct NormInputGradientCall {
  NormShape shape;
  const float* input = nullptr;
  const float* gain = nullptr;
  const float* mean = nullptr;
  const float* inverse_deviation = nullptr;
  const float* output_gradient = nullptr;
  float* input_gradient = nullptr;
};

// output[r] = token_table[tokens[r]] + position_table[r mod context], rows of `width` floats, for
// `rows` tokens in [0, vocabulary); context, width and vocabulary at least 1.
struct EmbeddingCall {
  int64_t rows = 0, context = 0, width = 0, vocabulary = 0;
  const int32_t* tokens = nullptr;
  const float* token_table = nullptr;     // [vocabulary, width]
  const float* position_table = nullptr;  // [context, width]
  float* output = nullptr;
};

// token_gradient[v] (+)= the sum of output_gradient[r] over rows with tokens[r] = v, rows without
// any 0; position_gradient[p] = the sum over rows r = p mod context (overwritten). Sums run over
// ascending r. With `accumulate` the token gradient is added to what is there (a tied head wrote
// it), else overwritten.
struct EmbeddingGradientCall {
  int64_t rows = 0, context = 0, width = 0, vocabulary = 0;
  const int32_t* tokens = nullptr;
  const float* output_gradient = nullptr;
  float* token_gradient = nullptr;
  float* position_gradient = nullptr;
  bool accumulate = false;
};

// Causal self-attention of `batch` sequences of `context` tokens. qkv[batch * context][3 * heads *
// head_width]: query, key and value side by side, head h in columns [h * head_width, (h + 1) *
// head_width) of each. context, heads and head_width are at least 1.
struct AttentionShape {
  int64_t batch = 0, context = 0, heads = 0, head_width = 0;
  int64_t width() const { return heads * head_width; }
};

// probabilities[b][h][i][j] = softmax over j <= i of q_i . k_j / sqrt(head_width), 0 for j > i;
// kept for backward. output[b * context + i][h * head_width + d] = sum over j of
// probabilities[b][h][i][j] * v_j[d].
struct AttentionCall {
  AttentionShape shape;
  const float* qkv = nullptr;
  float* probabilities = nullptr;  // [batch][heads][context][context]
  float* output = nullptr;         // [batch * context][width]
};

// qkv_gradient (overwritten) from output_gradient, with qkv and probabilities as AttentionCall had
// and left them.
struct AttentionBackwardCall {
  AttentionShape shape;
  const float* qkv = nullptr;
  const float* probabilities = nullptr;
  const float* output_gradient = nullptr;
  float* qkv_gradient = nullptr;
  float* scratch = nullptr;  // KernelLibrary::attention_scratch_floats(shape)
};

// A gradient's encoding by one of the codecs of common/codec, whose bytes it is, and with a
// residual one step of error feedback, as Codec::EncodeCorrected: to the last bit where all is
// finite; else the bytes hold what is not finite, for the receiver to refuse, and the residual is
// 0. count is at least 1.
struct EncodeCall {
  EncodeKind kind = EncodeKind::kFp16;
  int64_t count = 0;
  int64_t kept = 0;                 // topk alone: 1 to count
  int64_t block = 0;                // int8 and int4 alone: elements that share a unit, from 1
  const float* gradient = nullptr;  // [count]
  float* residual = nullptr;        // [count]; null: no error feedback
  std::byte* out = nullptr;         // the codec's MaxEncodedBytes(count), at a multiple of 8 bytes
  // KernelLibrary::encode_scratch_bytes(kind, count), at a multiple of 8 bytes
  std::byte* scratch = nullptr;
};

// An optimizer's update of `count` weights, as ElementUpdate says: to the last bit on every
// library.
struct UpdateCall {
  ElementUpdate update;
  int64_t count = 0;
  const float* gradient = nullptr;
  float* weights = nullptr;
  float* first = nullptr;  // arrays of state: those that the kind has
  float* second = nullptr;
};

// data[i] = 0.
struct FillZeroCall {
  float* data = nullptr;
  int64_t count = 0;
};

// to[i] = from[i], both in the library's place.
struct CopyFloatsCall {
  const float* from = nullptr;
  float* to = nullptr;
  int64_t count = 0;
};

// Every operation there is, with its arguments.
using Operation =
    std::variant<GemmCall, BiasCall, BiasGradientCall, ReluBackwardCall, Im2ColCall, Col2ImCall,
                 ConvolutionCall, ConvolutionWeightGradientCall, ConvolutionInputGradientCall,
                 MaxPoolCall, MaxPoolBackwardCall, SwapAxesCall, SoftmaxCrossEntropyCall, ReluCall,
                 AddCall, GeluCall, GeluBackwardCall, DropoutCall, AveragePoolCall,
                 AveragePoolBackwardCall, NormCall, NormInferenceCall, NormParamGradientCall,
                 NormInputGradientCall, EmbeddingCall, EmbeddingGradientCall, AttentionCall,
                 AttentionBackwardCall, EncodeCall, UpdateCall, FillZeroCall, CopyFloatsCall>;
// In the order in which they are made.
using Operations = std::vector<Operation>;

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CALLS_H_
