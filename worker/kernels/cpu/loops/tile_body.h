#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_TILE_BODY_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_TILE_BODY_H_

#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/base/partition.h"

// What the loops' bodies share, for any V like Avx2 of vectors_avx2.h.
namespace ringmaster::cpu {
namespace {

inline int64_t RoundUp(int64_t value, int64_t unit) { return CeilDiv(value, unit) * unit; }

// Where a pointer comes from, the compiler forgets: neighbouring numbers, kept from one turn of a
// loop to the next, take the registers of the sums, and half of the speed.
inline void Hide(const float** pointer) { asm("" : "+r"(*pointer)); }

// What lies behind the last row that a transpose writes: zeros up to a whole vector, or what was
// there.
enum class Behind { kZeros, kKept };

// One block of a transpose: height and width at most V::kLanes.
template <class V, Behind kBehind>
void TransposeBlock(const float* from, int64_t from_row, int64_t height, int64_t width, float* to,
                    int64_t to_row) {
  typename V::Floats block[V::kLanes];
  if (height == V::kLanes && width == V::kLanes) {
    for (int64_t i = 0; i < V::kLanes; ++i) block[i] = V::Load(from + i * from_row);
  } else {
    for (int64_t i = 0; i < V::kLanes; ++i) {
      block[i] = i < height ? V::LoadMasked(from + i * from_row, V::First(width)) : V::Zero();
    }
  }
  V::Transpose(block);
  if (kBehind == Behind::kZeros || height == V::kLanes) {
    for (int64_t i = 0; i < width; ++i) V::Store(to + i * to_row, block[i]);
  } else {
    for (int64_t i = 0; i < width; ++i) {
      V::StoreMasked(to + i * to_row, V::First(height), block[i]);
    }
  }
}

// to[c][r] = from[r][c] for rows x cols floats, rows `from_row` and `to_row` floats apart. Scratch
// has its rows close together and is written with zeros; the other side's rows may lie so far apart
// that they share lines of the cache, so few of them are walked along at a time.
template <class V, Behind kBehind = Behind::kZeros>
void Transpose(const float* from, int64_t from_row, int64_t rows, int64_t cols, float* to,
               int64_t to_row) {
  const auto block = [&](int64_t r, int64_t c) {
    TransposeBlock<V, kBehind>(from + r * from_row + c, from_row, std::min(V::kLanes, rows - r),
                               std::min(V::kLanes, cols - c), to + c * to_row + r, to_row);
  };
  if constexpr (kBehind == Behind::kZeros) {
    for (int64_t r = 0; r < rows; r += V::kLanes) {
      for (int64_t c = 0; c < cols; c += V::kLanes) block(r, c);
    }
  } else {
    for (int64_t c = 0; c < cols; c += V::kLanes) {
      for (int64_t r = 0; r < rows; r += V::kLanes) block(r, c);
    }
  }
}

// The left operand of a product: element (row, inner) at row * `row` + inner * `inner`.
struct Left {
  const float* at;
  int64_t row, inner;
};

// The right operand: rows of neighbouring floats.
struct Right {
  const float* at;
  int64_t row;
};

// Where scale * product goes; `add`: to what is there.
struct Out {
  float* at;
  int64_t row;
  float scale;
  bool add;
};

// out[kRows][kVectors] (+)= scale * left[kRows][inner] right[inner][kVectors], the last vector
// under `last` if kPartial.
template <class V, int kRows, int kVectors, bool kPartial>
void Tile(Left left, int64_t inner, Right right, typename V::Mask last, Out out) {
  using Floats = typename V::Floats;
  Floats total[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) total[i][v] = V::Zero();
  }
  for (int64_t k = 0; k < inner; ++k, left.at += left.inner, right.at += right.row) {
    const float* values = left.at;
    Hide(&values);
    Floats vectors[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const float* vector = right.at + v * V::kLanes;
      vectors[v] = kPartial && v == kVectors - 1 ? V::LoadMasked(vector, last) : V::Load(vector);
    }
    for (int i = 0; i < kRows; ++i) {
      const Floats value = V::Set(values[i * left.row]);
      for (int v = 0; v < kVectors; ++v)
        total[i][v] = V::MultiplyAdd(value, vectors[v], total[i][v]);
    }
  }
  const Floats scale = V::Set(out.scale);
  // Unrolled by order: rolled up, the sums would live in memory.
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      float* to = out.at + i * out.row + v * V::kLanes;
      const bool partial = kPartial && v == kVectors - 1;
      Floats result = total[i][v] * scale;
      if (out.add) result = result + (partial ? V::LoadMasked(to, last) : V::Load(to));
      if (partial) {
        V::StoreMasked(to, last, result);
      } else {
        V::Store(to, result);
      }
    }
  }
}

template <class V>
using TileFunction = void (*)(Left, int64_t, Right, typename V::Mask, Out);

template <class V, size_t... kIndex>
TileFunction<V> TileOf(int64_t rows, int64_t vectors, bool partial,
                       std::index_sequence<kIndex...>) {
  static constexpr TileFunction<V> kTiles[] = {
      Tile<V, kIndex / 2 / V::kTileVectors + 1, kIndex / 2 % V::kTileVectors + 1,
           kIndex % 2 == 1>...};
  return kTiles[((rows - 1) * V::kTileVectors + vectors - 1) * 2 + (partial ? 1 : 0)];
}

// out[rows][cols] (+)= scale * left[rows][inner] right[inner][cols] for 1 <= rows <= kTileRows.
template <class V>
void MultiplyTile(int64_t rows, int64_t cols, int64_t inner, Left left, Right right, Out out) {
  constexpr auto kTiles = std::make_index_sequence<V::kTileRows * V::kTileVectors * 2>();
  for (int64_t col = 0; col < cols; col += V::kTileVectors * V::kLanes) {
    const int64_t width = std::min(V::kTileVectors * V::kLanes, cols - col);
    const int64_t rest = width % V::kLanes;
    TileOf<V>(rows, CeilDiv(width, V::kLanes), rest != 0, kTiles)(
        left, inner, {right.at + col, right.row}, V::First(rest),
        {out.at + col, out.row, out.scale, out.add});
  }
}

// The same for any number of rows, a tile at a time, of heights as even as they can be.
template <class V>
void Multiply(int64_t rows, int64_t cols, int64_t inner, Left left, Right right, Out out) {
  const int64_t tiles = CeilDiv(rows, V::kTileRows);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile * rows / tiles, end = (tile + 1) * rows / tiles;
    MultiplyTile<V>(end - begin, cols, inner, {left.at + begin * left.row, left.row, left.inner},
                    right, {out.at + begin * out.row, out.row, out.scale, out.add});
  }
}

}  // namespace
}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_TILE_BODY_H_
