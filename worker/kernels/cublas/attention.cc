// The matrix products of causal self-attention, by cuBLAS, for all sequences and heads. Queries,
// keys and values are read where they lie, side by side in the rows of `qkv`; their gradients are
// written side by side too.

#include <cmath>

#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// One row-major matrix for each sequence and head.
template <typename Float>
struct HeadMatrices {
  Float* data;
  int64_t row_length;
  int64_t batch_stride, head_stride;
};

// Query (which = 0), key (1) or value (2) of each head: [context, head_width].
template <typename Float>
HeadMatrices<Float> PartOfQkv(const AttentionShape& shape, Float* qkv, int64_t which) {
  const int64_t row_length = 3 * shape.width();
  return {qkv + which * shape.width(), row_length, shape.context * row_length, shape.head_width};
}

// Scores, probabilities and their gradients: [context, context].
template <typename Float>
HeadMatrices<Float> Square(const AttentionShape& shape, Float* data) {
  const int64_t elements = shape.context * shape.context;
  return {data, shape.context, shape.heads * elements, elements};
}

// What attention gives: [context, head_width], the heads side by side.
template <typename Float>
HeadMatrices<Float> Output(const AttentionShape& shape, Float* data) {
  return {data, shape.width(), shape.context * shape.width(), shape.head_width};
}

struct Product {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  float alpha;
};

// c[m, n] = alpha * op(a) op(b) for each sequence and head, with the operands swapped as in
// gemm.cc. cuBLAS steps through a batch with one stride, so the larger of the two numbers is its
// batch and the smaller one a loop.
cublasStatus_t MultiplyHeads(const AttentionShape& shape, const Product& product,
                             const HeadMatrices<const float>& a, const HeadMatrices<const float>& b,
                             const HeadMatrices<float>& c, cublasHandle_t handle) {
  const bool loop_heads = shape.heads <= shape.batch;
  const int64_t launches = loop_heads ? shape.heads : shape.batch;
  const float beta = 0.0f;
  const auto stride_within = [&](const auto& matrices) {
    return loop_heads ? matrices.batch_stride : matrices.head_stride;
  };
  const auto start = [&](const auto& matrices, int64_t launch) {
    return matrices.data + launch * (loop_heads ? matrices.head_stride : matrices.batch_stride);
  };
  for (int64_t launch = 0; launch < launches; ++launch) {
    const cublasStatus_t status = cublasSgemmStridedBatched_64(
        handle, product.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
        product.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, product.n, product.m, product.k,
        &product.alpha, start(b, launch), b.row_length, stride_within(b), start(a, launch),
        a.row_length, stride_within(a), &beta, start(c, launch), c.row_length, stride_within(c),
        loop_heads ? shape.batch : shape.heads);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

cublasStatus_t LaunchAttentionScores(const AttentionCall& call, cublasHandle_t handle) {
  const AttentionShape& shape = call.shape;
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_width));
  return MultiplyHeads(shape, {false, true, shape.context, shape.context, shape.head_width, scale},
                       PartOfQkv(shape, call.qkv, 0), PartOfQkv(shape, call.qkv, 1),
                       Square(shape, call.probabilities), handle);
}

cublasStatus_t LaunchAttentionOutput(const AttentionCall& call, cublasHandle_t handle) {
  const AttentionShape& shape = call.shape;
  return MultiplyHeads(shape, {false, false, shape.context, shape.head_width, shape.context, 1.0f},
                       Square<const float>(shape, call.probabilities),
                       PartOfQkv(shape, call.qkv, 2), Output(shape, call.output), handle);
}

cublasStatus_t LaunchAttentionProbabilityGradient(const AttentionBackwardCall& call,
                                                  cublasHandle_t handle) {
  const AttentionShape& shape = call.shape;
  return MultiplyHeads(shape, {false, true, shape.context, shape.context, shape.head_width, 1.0f},
                       Output(shape, call.output_gradient), PartOfQkv(shape, call.qkv, 2),
                       Square(shape, call.scratch), handle);
}

cublasStatus_t LaunchAttentionQkvGradient(const AttentionBackwardCall& call,
                                          cublasHandle_t handle) {
  const AttentionShape& shape = call.shape;
  const Product plain = {false, false, shape.context, shape.head_width, shape.context, 1.0f};
  const Product transposed = {true, false, shape.context, shape.head_width, shape.context, 1.0f};
  const HeadMatrices<const float> score_gradient = Square<const float>(shape, call.scratch);
  // Queries: the scores' gradient times the keys. Keys: its transpose times the queries. Values:
  // the probabilities' transpose times the output's gradient.
  cublasStatus_t status = MultiplyHeads(shape, plain, score_gradient, PartOfQkv(shape, call.qkv, 1),
                                        PartOfQkv(shape, call.qkv_gradient, 0), handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  status = MultiplyHeads(shape, transposed, score_gradient, PartOfQkv(shape, call.qkv, 0),
                         PartOfQkv(shape, call.qkv_gradient, 1), handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  return MultiplyHeads(shape, transposed, Square(shape, call.probabilities),
                       Output(shape, call.output_gradient), PartOfQkv(shape, call.qkv_gradient, 2),
                       handle);
}

}  // namespace ringmaster
