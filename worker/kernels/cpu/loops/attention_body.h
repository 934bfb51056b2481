#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_ATTENTION_BODY_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_ATTENTION_BODY_H_

#include <cmath>

#include "worker/kernels/calls.h"
#include "worker/kernels/cpu/loops/loops.h"
#include "worker/kernels/cpu/loops/tile_body.h"

namespace ringmaster::cpu {
namespace {

// Beyond, products of 64 queries by all keys are as fast: 1.6 times as long at 64 tokens, 1.15 at
// 128, the same at 256.
constexpr int64_t kLongestContext = 128;

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

// The first `count` lanes, whole vectors without a mask.
template <class V>
void StoreFirst(float* to, int64_t count, typename V::Floats values) {
  if (count >= V::kLanes) {
    V::Store(to, values);
  } else {
    V::StoreMasked(to, V::First(count), values);
  }
}

// out[0..count) = softmax(scores[0..count)), out[count..context) = 0; `scores` is scratch, of whole
// vectors.
template <class V>
void CausalSoftmax(float* scores, int64_t count, int64_t context, float* out) {
  using Floats = typename V::Floats;
  Floats largest = V::Set(-__builtin_inff());
  for (int64_t i = 0; i < count; i += V::kLanes) {
    largest = V::Where(V::First(count - i), V::Larger(V::Load(scores + i), largest), largest);
  }
  const Floats shift = V::Set(V::Largest(largest));
  Floats sum = V::Zero();
  for (int64_t i = 0; i < count; i += V::kLanes) {
    const Floats weight =
        V::Where(V::First(count - i), V::ExpOf(V::Load(scores + i) - shift), V::Zero());
    sum = sum + weight;
    V::Store(scores + i, weight);
  }
  const Floats scale = V::Set(1.0f / V::Sum(sum));
  int64_t i = 0;
  for (; i < count; i += V::kLanes)
    StoreFirst<V>(out + i, context - i, V::Load(scores + i) * scale);
  for (; i < context; i += V::kLanes) StoreFirst<V>(out + i, context - i, V::Zero());
}

// gradient[0..count), of one row of probabilities, becomes that of the scores before softmax;
// [count..whole vectors of keys) = 0.
template <class V>
void SoftmaxBackward(const float* probabilities, int64_t count, int64_t keys, float* gradient) {
  using Floats = typename V::Floats;
  Floats products = V::Zero();
  for (int64_t i = 0; i < count; i += V::kLanes) {
    const auto mask = V::First(count - i);
    products = V::MultiplyAdd(V::LoadMasked(probabilities + i, mask),
                              V::LoadMasked(gradient + i, mask), products);
  }
  const Floats mean = V::Set(V::Sum(products));
  for (int64_t i = 0; i < keys; i += V::kLanes) {
    const auto mask = V::First(count - i);
    V::Store(gradient + i,
             V::LoadMasked(probabilities + i, mask) * (V::LoadMasked(gradient + i, mask) - mean));
  }
}

template <class V>
void Attend(const AttentionCall& call, const Head& head) {
  const int64_t padded = RoundUp(head.context, V::kLanes);
  float* keys_by_column = LoopScratch((head.width + V::kTileRows) * padded);  // [width][padded]
  float* scores = keys_by_column + head.width * padded;                       // [rows][padded]
  const float* queries = call.qkv + head.qkv;
  const float* values = queries + 2 * head.output_row;
  Transpose<V>(queries + head.output_row, head.qkv_row, head.context, head.width, keys_by_column,
               padded);
  for (int64_t i = 0; i < head.context; i += V::kTileRows) {
    const int64_t rows = std::min(V::kTileRows, head.context - i), keys = i + rows;
    float* probabilities = call.probabilities + head.pairs + i * head.context;
    MultiplyTile<V>(rows, RoundUp(keys, V::kLanes), head.width,
                    {queries + i * head.qkv_row, head.qkv_row, 1}, {keys_by_column, padded},
                    {scores, padded, head.scale, false});
    for (int64_t row = 0; row < rows; ++row) {
      CausalSoftmax<V>(scores + row * padded, i + row + 1, head.context,
                       probabilities + row * head.context);
    }
    MultiplyTile<V>(
        rows, head.width, keys, {probabilities, head.context, 1}, {values, head.qkv_row},
        {call.output + head.output + i * head.output_row, head.output_row, 1.0f, false});
  }
}

template <class V>
void AttendBackward(const AttentionBackwardCall& call, const Head& head) {
  const int64_t padded = RoundUp(head.context, V::kLanes);
  float* values_by_column = LoopScratch((head.width + head.context) * padded);  // [width][padded]
  float* scores = values_by_column + head.width * padded;  // [context][padded], their gradients
  const float* queries = call.qkv + head.qkv;
  const float* keys = queries + head.output_row;
  const float* probabilities = call.probabilities + head.pairs;
  const float* output_gradient = call.output_gradient + head.output;
  float* query_gradient = call.qkv_gradient + head.qkv;
  Transpose<V>(keys + head.output_row, head.qkv_row, head.context, head.width, values_by_column,
               padded);
  for (int64_t i = 0; i < head.context; i += V::kTileRows) {
    const int64_t rows = std::min(V::kTileRows, head.context - i), seen = i + rows;
    MultiplyTile<V>(rows, RoundUp(seen, V::kLanes), head.width,
                    {output_gradient + i * head.output_row, head.output_row, 1},
                    {values_by_column, padded}, {scores + i * padded, padded, 1.0f, false});
    for (int64_t row = i; row < seen; ++row) {
      SoftmaxBackward<V>(probabilities + row * head.context, row + 1, seen, scores + row * padded);
    }
    MultiplyTile<V>(rows, head.width, seen, {scores + i * padded, padded, 1}, {keys, head.qkv_row},
                    {query_gradient + i * head.qkv_row, head.qkv_row, head.scale, false});
  }
  // A key's gradient, and a value's, comes from the queries that see it.
  for (int64_t j = 0; j < head.context; j += V::kTileRows) {
    const int64_t rows = std::min(V::kTileRows, head.context - j), from = head.context - j;
    float* key_gradient = query_gradient + head.output_row + j * head.qkv_row;
    MultiplyTile<V>(rows, head.width, from, {scores + j * padded + j, 1, padded},
                    {queries + j * head.qkv_row, head.qkv_row},
                    {key_gradient, head.qkv_row, head.scale, false});
    MultiplyTile<V>(rows, head.width, from, {probabilities + j * head.context + j, 1, head.context},
                    {output_gradient + j * head.output_row, head.output_row},
                    {key_gradient + head.output_row, head.qkv_row, 1.0f, false});
  }
}

template <class V>
bool HasShortAttention(const AttentionShape& shape) {
  return shape.context <= kLongestContext;
}

template <class V>
void ShortAttention(const AttentionCall& call) {
  for (int64_t sequence = 0; sequence < call.shape.batch; ++sequence) {
    for (int64_t head = 0; head < call.shape.heads; ++head)
      Attend<V>(call, Head(call.shape, sequence, head));
  }
}

template <class V>
void ShortAttentionBackward(const AttentionBackwardCall& call) {
  for (int64_t sequence = 0; sequence < call.shape.batch; ++sequence) {
    for (int64_t head = 0; head < call.shape.heads; ++head)
      AttendBackward<V>(call, Head(call.shape, sequence, head));
  }
}

}  // namespace
}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_ATTENTION_BODY_H_
