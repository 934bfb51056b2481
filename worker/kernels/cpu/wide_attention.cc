#include "worker/kernels/cpu/wide_attention.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "common/base/partition.h"
#include "worker/kernels/cpu/direct_convolution.h"
#include "worker/kernels/cpu/wide_exp.h"
#include "worker/kernels/cpu/wide_vectors.h"

namespace ringmaster::cpu {
namespace {

// Beyond, products of 64 queries by all keys are as fast: 1.6 times as long at 64 tokens, 1.15 at
// 128, the same at 256.
constexpr int64_t kLongestContext = 128;
constexpr int64_t kTileRows = 6;  // with four vectors each: 24 of the 32 registers hold sums
constexpr int64_t kTileVectors = 4;

// `floats` of them, aligned to vectors.
float* Scratch(int64_t floats) {
  thread_local std::vector<float> scratch;
  if (static_cast<int64_t>(scratch.size()) < floats + kLanes) scratch.resize(floats + kLanes);
  auto address = reinterpret_cast<uintptr_t>(scratch.data());
  return reinterpret_cast<float*>((address + 63) / 64 * 64);
}

// Where the arrays of one head of one sequence lie, from token to token and from query to query.
struct Head {
  Head(const AttentionShape& shape, int64_t sequence, int64_t head)
      : context(shape.context),
        width(shape.head_width),
        qkv(sequence * shape.context * 3 * shape.width() + head * shape.head_width),
        qkv_row(3 * shape.width()),
        output(sequence * shape.context * shape.width() + head * shape.head_width),
        output_row(shape.width()),
        pairs((sequence * shape.heads + head) * shape.context * shape.context),
        scale(1.0f / std::sqrt(static_cast<float>(shape.head_width))) {}

  const int64_t context, width;
  const int64_t qkv, qkv_row;  // of the queries; keys and values follow output_row floats apart
  const int64_t output, output_row;
  const int64_t pairs;  // of the probabilities, [context][context]
  const float scale;
};

// The left operand of a product: element (row, inner).
struct Left {
  const float* at;
  int64_t row, inner;
};

// Rows of neighbouring floats.
struct Rows {
  const float* at;
  int64_t row;
};

}  // namespace

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace {

// out[kRows][vectors] = scale * left[kRows][inner] right[inner][vectors], under the masks of the
// vectors.
template <int kRows, int kVectors>
void Tile(Left left, int64_t inner, Rows right, const __mmask16* masks, float scale, float* out,
          int64_t out_row) {
  __m512 total[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) total[i][v] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < inner; ++k, left.at += left.inner, right.at += right.row) {
    const float* values = left.at;
    Hide(&values);
    __m512 vectors[kVectors];
    for (int v = 0; v < kVectors; ++v)
      vectors[v] = _mm512_maskz_loadu_ps(masks[v], right.at + 16 * v);
    for (int i = 0; i < kRows; ++i) {
      const __m512 value = _mm512_set1_ps(values[i * left.row]);
      for (int v = 0; v < kVectors; ++v)
        total[i][v] = _mm512_fmadd_ps(value, vectors[v], total[i][v]);
    }
  }
  const __m512 scales = _mm512_set1_ps(scale);
  // Unrolled by order: rolled up, the sums would live in memory.
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v)
      _mm512_mask_storeu_ps(out + i * out_row + 16 * v, masks[v], total[i][v] * scales);
  }
}

using TileFunction = void (*)(Left, int64_t, Rows, const __mmask16*, float, float*, int64_t);

template <int kVectors, size_t... kIndex>
TileFunction TileOfRows(int64_t rows, std::index_sequence<kIndex...>) {
  static constexpr TileFunction kTiles[] = {Tile<kIndex + 1, kVectors>...};
  return kTiles[rows - 1];
}

TileFunction TileOf(int64_t rows, int64_t vectors) {
  constexpr auto kHeights = std::make_index_sequence<kTileRows>();
  switch (vectors) {
    case 1:
      return TileOfRows<1>(rows, kHeights);
    case 2:
      return TileOfRows<2>(rows, kHeights);
    case 3:
      return TileOfRows<3>(rows, kHeights);
    default:
      return TileOfRows<4>(rows, kHeights);
  }
}

// out[rows][cols] = scale * left[rows][inner] right[inner][cols] for 1 <= rows <= kTileRows.
void Product(int64_t rows, int64_t cols, int64_t inner, Left left, Rows right, float scale,
             float* out, int64_t out_row) {
  constexpr int64_t kTileCols = kTileVectors * kLanes;
  for (int64_t col = 0; col < cols; col += kTileCols) {
    __mmask16 masks[kTileVectors];
    for (int64_t v = 0; v < kTileVectors; ++v) masks[v] = FirstLanes(cols - col - kLanes * v);
    const int64_t vectors = CeilDiv(std::min(kTileCols, cols - col), kLanes);
    TileOf(rows, vectors)(left, inner, {right.at + col, right.row}, masks, scale, out + col,
                          out_row);
  }
}

// out[0..count) = softmax(scores[0..count)), out[count..context) = 0; `scores` is scratch.
void CausalSoftmax(float* scores, int64_t count, int64_t context, float* out) {
  __m512 largest = _mm512_set1_ps(-__builtin_inff());
  for (int64_t i = 0; i < count; i += kLanes) {
    // max_ps gives its second operand when one of the two is NaN.
    largest =
        _mm512_mask_max_ps(largest, FirstLanes(count - i), _mm512_loadu_ps(scores + i), largest);
  }
  const __m512 shift = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += kLanes) {
    const __m512 weight =
        _mm512_maskz_mov_ps(FirstLanes(count - i), Exp(_mm512_loadu_ps(scores + i) - shift));
    sum = sum + weight;
    _mm512_storeu_ps(scores + i, weight);
  }
  const __m512 scale = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(sum));
  int64_t i = 0;
  for (; i < count; i += kLanes) {
    _mm512_mask_storeu_ps(out + i, FirstLanes(context - i), _mm512_loadu_ps(scores + i) * scale);
  }
  for (; i < context; i += kLanes)
    _mm512_mask_storeu_ps(out + i, FirstLanes(context - i), _mm512_setzero_ps());
}

// gradient[0..count), of one row of probabilities, becomes that of the scores before softmax;
// [count..keys) = 0.
void SoftmaxBackward(const float* probabilities, int64_t count, int64_t keys, float* gradient) {
  __m512 products = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += kLanes) {
    const __mmask16 mask = FirstLanes(count - i);
    products = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, probabilities + i),
                               _mm512_maskz_loadu_ps(mask, gradient + i), products);
  }
  const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(products));
  for (int64_t i = 0; i < keys; i += kLanes) {
    const __mmask16 mask = FirstLanes(count - i);
    const __m512 slope = _mm512_maskz_loadu_ps(mask, gradient + i) - mean;
    _mm512_mask_storeu_ps(gradient + i, FirstLanes(keys - i),
                          _mm512_maskz_loadu_ps(mask, probabilities + i) * slope);
  }
}

void Attend(const AttentionCall& call, const Head& head) {
  const int64_t padded = CeilDiv(head.context, kLanes) * kLanes;
  float* keys_by_column = Scratch((head.width + kTileRows) * padded);  // [width][padded]
  float* scores = keys_by_column + head.width * padded;                // [kTileRows][padded]
  const float* queries = call.qkv + head.qkv;
  const float* values = queries + 2 * head.output_row;
  Transpose(queries + head.output_row, head.qkv_row, head.context, head.width, keys_by_column,
            padded);
  for (int64_t i = 0; i < head.context; i += kTileRows) {
    const int64_t rows = std::min(kTileRows, head.context - i), keys = i + rows;
    float* probabilities = call.probabilities + head.pairs + i * head.context;
    Product(rows, keys, head.width, {queries + i * head.qkv_row, head.qkv_row, 1},
            {keys_by_column, padded}, head.scale, scores, padded);
    for (int64_t row = 0; row < rows; ++row) {
      CausalSoftmax(scores + row * padded, i + row + 1, head.context,
                    probabilities + row * head.context);
    }
    Product(rows, head.width, keys, {probabilities, head.context, 1}, {values, head.qkv_row}, 1.0f,
            call.output + head.output + i * head.output_row, head.output_row);
  }
}

void AttendBackward(const AttentionBackwardCall& call, const Head& head) {
  const int64_t padded = CeilDiv(head.context, kLanes) * kLanes;
  float* values_by_column = Scratch((head.width + head.context) * padded);  // [width][padded]
  float* scores = values_by_column + head.width * padded;  // [context][padded], their gradients
  const float* queries = call.qkv + head.qkv;
  const float* keys = queries + head.output_row;
  const float* probabilities = call.probabilities + head.pairs;
  const float* output_gradient = call.output_gradient + head.output;
  float* query_gradient = call.qkv_gradient + head.qkv;
  Transpose(keys + head.output_row, head.qkv_row, head.context, head.width, values_by_column,
            padded);
  for (int64_t i = 0; i < head.context; i += kTileRows) {
    const int64_t rows = std::min(kTileRows, head.context - i), seen = i + rows;
    Product(rows, seen, head.width, {output_gradient + i * head.output_row, head.output_row, 1},
            {values_by_column, padded}, 1.0f, scores + i * padded, padded);
    for (int64_t row = i; row < seen; ++row) {
      SoftmaxBackward(probabilities + row * head.context, row + 1, seen, scores + row * padded);
    }
    Product(rows, head.width, seen, {scores + i * padded, padded, 1}, {keys, head.qkv_row},
            head.scale, query_gradient + i * head.qkv_row, head.qkv_row);
  }
  // A key's gradient, and a value's, comes from the queries that see it.
  for (int64_t j = 0; j < head.context; j += kTileRows) {
    const int64_t rows = std::min(kTileRows, head.context - j), from = head.context - j;
    float* key_gradient = query_gradient + head.output_row + j * head.qkv_row;
    Product(rows, head.width, from, {scores + j * padded + j, 1, padded},
            {queries + j * head.qkv_row, head.qkv_row}, head.scale, key_gradient, head.qkv_row);
    Product(rows, head.width, from, {probabilities + j * head.context + j, 1, head.context},
            {output_gradient + j * head.output_row, head.output_row}, 1.0f,
            key_gradient + head.output_row, head.qkv_row);
  }
}

}  // namespace

#pragma GCC diagnostic pop
#pragma GCC pop_options

bool HasWideAttention(const AttentionShape& shape) {
  return shape.context <= kLongestContext && HasWideConvolutions();
}

void WideAttention(const AttentionCall& call) {
  for (int64_t sequence = 0; sequence < call.shape.batch; ++sequence) {
    for (int64_t head = 0; head < call.shape.heads; ++head)
      Attend(call, Head(call.shape, sequence, head));
  }
}

void WideAttentionBackward(const AttentionBackwardCall& call) {
  for (int64_t sequence = 0; sequence < call.shape.batch; ++sequence) {
    for (int64_t head = 0; head < call.shape.heads; ++head)
      AttendBackward(call, Head(call.shape, sequence, head));
  }
}

}  // namespace ringmaster::cpu
