#include "worker/kernels/cpu/wide_gemm.h"

#include <immintrin.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "worker/kernels/cpu/direct_convolution.h"
#include "worker/kernels/cpu/wide_vectors.h"

namespace ringmaster::cpu {
namespace {

constexpr int64_t kFewRows = 64;  // four vectors
constexpr int kVectors = kFewRows / 16;
constexpr int64_t kTileRows = 6;  // with four vectors each: 24 of the 32 registers hold sums
// Below, the copies cost more than they save.
constexpr int64_t kLeastSize = 512;

// [size][kFewRows] and another [kFewRows][kFewRows], aligned to vectors.
float* Scratch(int64_t size) {
  thread_local std::vector<float> scratch;
  const size_t floats = static_cast<size_t>((size + kFewRows) * kFewRows + kFewRows);
  if (scratch.size() < floats) scratch.resize(floats);
  auto address = reinterpret_cast<uintptr_t>(scratch.data());
  return reinterpret_cast<float*>((address + 63) / 64 * 64);
}

}  // namespace

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace {

// A tile of a product: kRows scalars at large[row * large_row + k * 1] by one row of
// few[k][kFewRows], summed over k and written to sums[row * sums_row], under the masks of its
// vectors.
template <int kRows>
void Tile(const float* large, int64_t large_row, const float* few, int64_t k,
          const __mmask16* masks, float* sums, int64_t sums_row) {
  __m512 total[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) total[i][v] = _mm512_setzero_ps();
  }
  for (int64_t inner = 0; inner < k; ++inner, few += kFewRows, ++large) {
    Hide(&large);
    __m512 vectors[kVectors];
    for (int v = 0; v < kVectors; ++v) vectors[v] = _mm512_loadu_ps(few + 16 * v);
    for (int i = 0; i < kRows; ++i) {
      const __m512 value = _mm512_set1_ps(large[i * large_row]);
      for (int v = 0; v < kVectors; ++v)
        total[i][v] = _mm512_fmadd_ps(value, vectors[v], total[i][v]);
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v)
      _mm512_mask_storeu_ps(sums + i * sums_row + 16 * v, masks[v], total[i][v]);
  }
}

using TileFunction = void (*)(const float*, int64_t, const float*, int64_t, const __mmask16*,
                              float*, int64_t);

template <size_t... kIndex>
TileFunction TileOf(int64_t rows, std::index_sequence<kIndex...>) {
  static constexpr TileFunction kTiles[] = {Tile<kIndex + 1>...};
  return kTiles[rows - 1];
}

// `rows` rows of a product, a tile at a time, of heights as even as they can be.
void Tiles(int64_t rows, const float* large, int64_t large_row, const float* few, int64_t k,
           const __mmask16* masks, float* sums, int64_t sums_row) {
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile * rows / tiles, end = (tile + 1) * rows / tiles;
    TileOf(end - begin, std::make_index_sequence<kTileRows>())(
        large + begin * large_row, large_row, few, k, masks, sums + begin * sums_row, sums_row);
  }
}

// c[m, n] = a[m, k] b[n, k]^T for few rows m: 16 rows of b at a time by a^T, and their sums turned
// around into c.
void FewRows(const GemmCall& call) {
  float* few = Scratch(call.k);
  float* sums = few + call.k * kFewRows;
  for (int64_t i = call.m / kLanes * kLanes; i < kFewRows; i += kLanes) {
    for (int64_t k = 0; k < call.k; ++k)
      _mm512_storeu_ps(few + k * kFewRows + i, _mm512_setzero_ps());
  }
  Transpose(call.a, call.lda, call.m, call.k, few, kFewRows);
  const __mmask16 all[kVectors] = {0xffff, 0xffff, 0xffff, 0xffff};
  for (int64_t col = 0; col < call.n; col += kLanes) {
    const int64_t cols = std::min(kLanes, call.n - col);
    Tiles(cols, call.b + col * call.ldb, call.ldb, few, call.k, all, sums, kFewRows);
    const __mmask16 mask = FirstLanes(cols);
    for (int64_t row = 0; row < call.m; row += kLanes) {
      __m512 block[16];
      for (int64_t i = 0; i < kLanes; ++i) {
        block[i] = _mm512_maskz_loadu_ps(i < cols ? 0xffff : 0,
                                         sums + (i < cols ? i : 0) * kFewRows + row);
      }
      Transpose16(block);
      for (int64_t i = 0; i < std::min(kLanes, call.m - row); ++i) {
        _mm512_mask_storeu_ps(call.c + (row + i) * call.ldc + col, mask, block[i]);
      }
    }
  }
}

// c[m, n] = a[k, m]^T b[k, n] for few rows k: 64 columns of b side by side with the next, and c row
// by row, since what takes the time is writing it.
void FewTerms(const GemmCall& call) {
  float* rows = Scratch(call.m + call.n + kFewRows);
  float* columns = rows + call.m * kFewRows;
  Transpose(call.a, call.lda, call.k, call.m, rows, kFewRows);
  for (int64_t k = 0; k < call.k; ++k) {
    for (int64_t col = 0; col < call.n; col += 16) {
      const __mmask16 mask = FirstLanes(call.n - col);
      _mm512_storeu_ps(columns + (col / kFewRows * call.k + k) * kFewRows + col % kFewRows,
                       _mm512_maskz_loadu_ps(mask, call.b + k * call.ldb + col));
    }
  }
  const int64_t tiles = (call.m + kTileRows - 1) / kTileRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile * call.m / tiles, end = (tile + 1) * call.m / tiles;
    for (int64_t col = 0; col < call.n; col += kFewRows) {
      __mmask16 masks[kVectors];
      for (int v = 0; v < kVectors; ++v) masks[v] = FirstLanes(call.n - col - 16 * v);
      Tiles(end - begin, rows + begin * kFewRows, kFewRows, columns + col * call.k, call.k, masks,
            call.c + begin * call.ldc + col, call.ldc);
    }
  }
}

}  // namespace

#pragma GCC diagnostic pop
#pragma GCC pop_options

bool HasWideGemm(const GemmCall& call) {
  if (call.alpha != 1.0f || call.beta != 0.0f || !HasWideConvolutions()) return false;
  const bool forward = !call.transpose_a && call.transpose_b && call.m > kFewRows / 2 &&
                       call.m <= kFewRows && call.n >= kLeastSize && call.k >= kLeastSize;
  const bool weights = call.transpose_a && !call.transpose_b && call.k > kFewRows / 2 &&
                       call.k <= kFewRows && call.m >= kLeastSize && call.n >= kLeastSize;
  return forward || weights;
}

void WideGemm(const GemmCall& call) {
  if (call.transpose_b) {
    FewRows(call);
  } else {
    FewTerms(call);
  }
}

}  // namespace ringmaster::cpu
