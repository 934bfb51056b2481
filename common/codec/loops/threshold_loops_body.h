#ifndef RINGMASTER_COMMON_CODEC_LOOPS_THRESHOLD_LOOPS_BODY_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_THRESHOLD_LOOPS_BODY_H_

#include <immintrin.h>

#include <cstring>

#include "common/codec/loops/groups.h"
#include "common/codec/loops/loops.h"
#include "common/codec/loops/threshold_loops.h"

// The loops over vectors V (vectors_avx2.h). Included by one source file for each set.

namespace ringmaster {

// A float at any address.
struct FloatBytes {
  std::byte bytes[4];
};

// The two bits of each lane; `largest` becomes the largest magnitude so far.
template <class V>
inline typename V::PairWord TwobitsOf(typename V::Floats values, int32_t above,
                                      typename V::Ints* largest) {
  const typename V::Ints magnitudes = V::Magnitude(values);
  *largest = V::Larger(*largest, magnitudes);
  const uint32_t sent = V::Above(magnitudes, V::SetInts(above));
  const uint32_t bad = V::Above(magnitudes, V::SetInts(0x7F7FFFFF));
  const uint32_t negative = V::Signs(values);
  return static_cast<typename V::PairWord>(_pdep_u32((sent & ~negative) | bad, 0x55555555u) |
                                           _pdep_u32((sent & negative) | bad, 0xAAAAAAAAu));
}

// What two bits decode to, repeated.
template <class V>
inline typename V::Floats TwobitTable(float threshold) {
  const float table[4] = {0.0f, threshold, -threshold, 0.0f};
  return V::Repeat(table);
}

template <class V>
bool EncodeTwobits(const float* in, size_t n, float threshold, uint8_t* out) {
  const int32_t above = MagnitudeOf(threshold) - 1;
  typename V::Ints largest = V::Zero();
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    PrefetchForLoad(in + i, kAhead);
    const typename V::PairWord word = TwobitsOf<V>(V::Load(in + i), above, &largest);
    std::memcpy(out + i / 4, &word, sizeof(word));
  }
  if (i < n) {
    const Padded<V, float, V::kLanes> last(in + i, n - i);
    const typename V::PairWord word = TwobitsOf<V>(V::Load(last.values), above, &largest);
    std::memcpy(out + i / 4, &word, (n - i + 3) / 4);
  }
  return V::AllFinite(largest);
}

template <class V>
bool EncodeTwobitsCorrected(const float* in, float* residual, size_t n, float threshold,
                            uint8_t* out) {
  const int32_t above = MagnitudeOf(threshold) - 1;
  const typename V::Floats table = TwobitTable<V>(threshold);
  typename V::Ints largest = V::Zero();
  ForGroups<V, V::kLanes>(in, residual, n, [&](const float* from, float* left, size_t i) {
    const typename V::Floats values = V::Add(V::Load(left), V::Load(from));
    const typename V::PairWord word = TwobitsOf<V>(values, above, &largest);
    V::Store(V::Subtract(values, V::LookUp(word, table)), left);
    std::memcpy(out + i / 4, &word, i + V::kLanes <= n ? sizeof(word) : (n - i + 3) / 4);
  });
  return V::AllFinite(largest);
}

template <class V, class How>
void DecodeTwobits(const uint8_t* in, size_t n, float threshold, float* out) {
  const typename V::Floats table = TwobitTable<V>(threshold);
  typename V::PairWord word = 0;
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    std::memcpy(&word, in + i / 4, sizeof(word));
    How::template Use<V>(V::LookUp(word, table), out + i);
  }
  if (i == n) return;
  Padded<V, float, V::kLanes> last(out + i, n - i);
  word = 0;
  std::memcpy(&word, in + i / 4, (n - i + 3) / 4);
  How::template Use<V>(V::LookUp(word, table), last.values);
  last.To(out + i, n - i);
}

template <class V>
AboveCount CountAbove(const float* in, size_t n, int32_t above) {
  const typename V::Ints limit = V::SetInts(above);
  typename V::Ints largest = V::Zero();
  AboveCount of;
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    const typename V::Ints magnitudes = V::Magnitude(V::Load(in + i));
    largest = V::Larger(largest, magnitudes);
    of.count += __builtin_popcount(V::Above(magnitudes, limit));
  }
  of.largest = V::LargestLane(largest);
  for (; i < n; ++i) {
    const int32_t magnitude = MagnitudeOf(in[i]);
    of.largest = magnitude > of.largest ? magnitude : of.largest;
    of.count += magnitude > above ? 1 : 0;
  }
  return of;
}

// 0 in place of the lanes whose magnitude is not above.
template <class V>
inline typename V::Floats KeptOf(typename V::Floats values, int32_t above) {
  return V::Where(V::IsAbove(V::Magnitude(values), V::SetInts(above)), values, V::Set(0.0f));
}

template <class V>
void KeepAbove(const float* in, size_t n, int32_t above, std::byte* out) {
  FloatBytes* const floats = reinterpret_cast<FloatBytes*>(out);
  ForGroups<V, V::kLanes>(in, floats, n, [&](const float* from, FloatBytes* to, size_t) {
    PrefetchForStore(reinterpret_cast<float*>(to));
    V::Store(KeptOf<V>(V::Load(from), above), reinterpret_cast<float*>(to));
  });
}

template <class V>
void ClearAbove(size_t n, int32_t above, float* values) {
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    const typename V::Floats here = V::Load(values + i);
    V::Store(V::Where(V::IsAbove(V::Magnitude(here), V::SetInts(above)), V::Set(0.0f), here),
             values + i);
  }
  for (; i < n; ++i) values[i] = MagnitudeOf(values[i]) > above ? 0.0f : values[i];
}

// Zeros leave what is there as it is: a sum with them would turn the sign of -0.
struct AddsKept {
  template <class V>
  static void Use(typename V::Floats values, typename V::Mask kept, float* to) {
    const typename V::Floats before = V::Load(to);
    V::Store(V::Where(kept, V::Add(before, values), before), to);
  }
};
struct StoresKept {
  template <class V>
  static void Use(typename V::Floats values, typename V::Mask kept, float* to) {
    Stores::Use<V>(values, to);
  }
};

template <class V, class How>
int64_t DecodeKept(const std::byte* in, size_t n, int32_t above, float* out) {
  int64_t count = 0;
  uint32_t bad = 0;
  const FloatBytes* const floats = reinterpret_cast<const FloatBytes*>(in);
  ForGroups<V, V::kLanes>(floats, out, n, [&](const FloatBytes* from, float* to, size_t) {
    const typename V::Floats values = V::Load(reinterpret_cast<const float*>(from));
    const typename V::Ints magnitudes = V::Magnitude(values);
    const typename V::Mask kept = V::IsAbove(magnitudes, V::SetInts(above));
    const uint32_t is_kept = V::BitsOf(kept);
    // Zeros have no bit set: a minus would be one.
    bad |= V::NotZero(V::Bits(values)) & ~is_kept;
    bad |= V::Above(magnitudes, V::SetInts(0x7F7FFFFF));
    count += __builtin_popcount(is_kept);
    How::template Use<V>(values, kept, to);
  });
  return bad == 0 ? count : -1;
}

template <class V>
constexpr ThresholdLoops ThresholdLoopsOf(const char* name) {
  return {name,
          EncodeTwobits<V>,
          EncodeTwobitsCorrected<V>,
          DecodeTwobits<V, Stores>,
          DecodeTwobits<V, Adds>,
          CountAbove<V>,
          KeepAbove<V>,
          ClearAbove<V>,
          DecodeKept<V, StoresKept>,
          DecodeKept<V, AddsKept>};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_THRESHOLD_LOOPS_BODY_H_
