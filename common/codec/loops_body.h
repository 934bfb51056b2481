#ifndef RINGMASTER_COMMON_CODEC_LOOPS_BODY_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_BODY_H_

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/codec/loops.h"
#include "common/codec/sum_order.h"

// The loops over vectors of the instruction set V, which lists what its vectors can do. Included by
// one source file for each set, with V in an unnamed namespace and all else static, so that no two
// files share code.

namespace ringmaster {

inline constexpr float kLargestHalf = 65504.0f;

// Asks for the cache line that is written 2 KiB further on: a loop that only writes is held up by
// every line it does not have, for no load announces them. Measured on 16 MiB: 1.5 times as fast,
// and above memcpy's bandwidth; in the second cache no difference. Stores past the caches are
// slower by far until the third cache is full, too.
static inline void PrefetchForStore(const float* to) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(to) + 2048), 1);
}

// The vectors that are left over at the end go through an array padded with zeros and the same
// instructions.
template <class V>
struct TailOf {
  explicit TailOf(size_t n) : count(n) {}
  const float* From(const float* in) {
    std::memcpy(floats, in, count * sizeof(float));
    return floats;
  }
  const std::byte* From(const std::byte* in) {
    std::memcpy(halves, in, 2 * count);
    return halves;
  }
  void To(float* out) const { std::memcpy(out, floats, count * sizeof(float)); }
  void To(std::byte* out) const { std::memcpy(out, halves, 2 * count); }

  const size_t count;
  alignas(64) float floats[V::kLanes] = {};
  alignas(64) std::byte halves[2 * V::kLanes] = {};
};

template <class V>
void EncodeHalves(const float* in, size_t n, std::byte* out) {
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes)
    V::StoreHalves(V::Saturate(V::Load(in + i)), out + 2 * i);
  if (i == n) return;
  TailOf<V> tail(n - i);
  V::StoreHalves(V::Saturate(V::Load(tail.From(in + i))), tail.halves);
  tail.To(out + 2 * i);
}

// One vector of encode_halves_corrected; returns the largest magnitude so far.
template <class V>
typename V::Ints EncodeCorrectedVector(const float* in, float* residual, std::byte* out,
                                       typename V::Ints largest) {
  const typename V::Floats corrected = V::Add(V::Load(residual), V::Load(in));
  V::StoreHalves(V::Saturate(corrected), out);
  V::Store(V::Subtract(corrected, V::LoadHalves(out)), residual);
  return V::Larger(largest, V::Magnitude(corrected));
}

template <class V>
bool EncodeHalvesCorrected(const float* in, float* residual, size_t n, std::byte* out) {
  typename V::Ints largest = V::Zero();
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    largest = EncodeCorrectedVector<V>(in + i, residual + i, out + 2 * i, largest);
  }
  if (i < n) {
    TailOf<V> gradient(n - i), left(n - i);
    left.From(residual + i);
    largest = EncodeCorrectedVector<V>(gradient.From(in + i), left.floats, left.halves, largest);
    left.To(residual + i);
    left.To(out + 2 * i);
  }
  return V::AllFinite(largest);
}

template <class V>
bool DecodeHalves(const std::byte* in, size_t n, float* out) {
  typename V::Ints largest = V::Zero();
  const auto decode = [&largest](const std::byte* from, float* to) {
    const typename V::Floats values = V::LoadHalves(from);
    largest = V::Larger(largest, V::Magnitude(values));
    PrefetchForStore(to);
    V::Store(values, to);
  };
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) decode(in + 2 * i, out + i);
  if (i < n) {
    TailOf<V> tail(n - i);
    decode(tail.From(in + 2 * i), tail.floats);
    tail.To(out + i);
  }
  return V::AllFinite(largest);
}

template <class V>
bool AddHalves(const std::byte* in, size_t n, float* out) {
  typename V::Ints largest = V::Zero();
  const auto add = [&largest](const std::byte* from, float* to) {
    const typename V::Floats values = V::LoadHalves(from);
    largest = V::Larger(largest, V::Magnitude(values));
    V::Store(V::Add(V::Load(to), values), to);
  };
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) add(in + 2 * i, out + i);
  if (i < n) {
    TailOf<V> tail(n - i);
    tail.From(out + i);
    add(tail.From(in + 2 * i), tail.floats);
    tail.To(out + i);
  }
  return V::AllFinite(largest);
}

static inline double FoldLanes(double* lanes) {
  for (size_t width = kSumLanes / 2; width > 0; width /= 2) {
    for (size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

// `correct` makes kLanes values at element i ready and returns where they lie; `correct_one` does
// one.
template <class V, class Correct, class CorrectOne>
double PackSignsOf(size_t n, uint8_t* bits, Correct correct, CorrectOne correct_one) {
  constexpr size_t kSums = kSumLanes / V::kDoubles;
  alignas(64) double totals[kSumLanes] = {};
  alignas(64) double lanes[kSumLanes];
  size_t i = 0;
  while (i < n) {
    const size_t end = std::min(n, i + kSumBlock);
    typename V::Doubles sums[kSums];
    for (size_t s = 0; s < kSums; ++s) sums[s] = V::ZeroDoubles();
    for (; i + kSumLanes <= end; i += kSumLanes) {
      uint32_t signs = 0;
      for (size_t v = 0; v < kSumLanes; v += V::kLanes) {
        const float* const values = correct(i + v);
        signs |= V::Signs(V::Load(values)) << v;
        for (size_t d = 0; d < V::kLanes; d += V::kDoubles) {
          typename V::Doubles& sum = sums[(v + d) / V::kDoubles];
          sum = V::AddDoubles(sum, V::Magnitudes(values + d));
        }
      }
      std::memcpy(bits + i / 8, &signs, sizeof(signs));
    }
    for (size_t s = 0; s < kSums; ++s) V::StoreDoubles(sums[s], lanes + s * V::kDoubles);
    for (; i < end; ++i) {
      const float value = correct_one(i);
      lanes[i % kSumLanes] += std::fabs(static_cast<double>(value));
      if (i % 8 == 0) bits[i / 8] = 0;
      bits[i / 8] |= static_cast<uint8_t>((std::signbit(value) ? 1u : 0u) << (i % 8));
    }
    for (size_t lane = 0; lane < kSumLanes; ++lane) totals[lane] += lanes[lane];
  }
  return FoldLanes(totals);
}

template <class V>
double PackSigns(const float* in, size_t n, uint8_t* bits) {
  return PackSignsOf<V>(
      n, bits, [in](size_t i) { return in + i; }, [in](size_t i) { return in[i]; });
}

template <class V>
double PackSignsCorrected(const float* in, float* residual, size_t n, uint8_t* bits) {
  const auto correct = [in, residual](size_t i) {
    V::Store(V::Add(V::Load(residual + i), V::Load(in + i)), residual + i);
    return residual + i;
  };
  return PackSignsOf<V>(n, bits, correct,
                        [in, residual](size_t i) { return residual[i] += in[i]; });
}

template <class V>
uint32_t SignsAt(const uint8_t* bits, size_t i) {
  typename V::SignWord word;  // of kLanes bits
  std::memcpy(&word, bits + i / 8, sizeof(word));
  return word;
}

static inline float SignedAt(const uint8_t* bits, size_t i, float magnitude) {
  return (bits[i / 8] >> (i % 8)) & 1 ? -magnitude : magnitude;
}

template <class V>
void UnpackSigns(const uint8_t* bits, float magnitude, size_t n, float* out) {
  const typename V::Floats magnitudes = V::Set(magnitude);
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    PrefetchForStore(out + i);
    V::Store(V::WithSigns(SignsAt<V>(bits, i), magnitudes), out + i);
  }
  for (; i < n; ++i) out[i] = SignedAt(bits, i, magnitude);
}

template <class V>
void AddSigns(const uint8_t* bits, float magnitude, size_t n, float* out) {
  const typename V::Floats magnitudes = V::Set(magnitude);
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    PrefetchForStore(out + i);
    V::Store(V::Add(V::Load(out + i), V::WithSigns(SignsAt<V>(bits, i), magnitudes)), out + i);
  }
  for (; i < n; ++i) out[i] += SignedAt(bits, i, magnitude);
}

template <class V>
void Clear(size_t n, float* out) {
  const typename V::Floats zeros = V::Set(0.0f);
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    PrefetchForStore(out + i);
    V::Store(zeros, out + i);
  }
  for (; i < n; ++i) out[i] = 0.0f;
}

// `correct` makes the vector at element i ready and returns it; `correct_one` does one element.
template <class V, class Correct, class CorrectOne>
size_t CollectOf(size_t begin, size_t n, int32_t above, Candidates* candidates, Correct correct,
                 CorrectOne correct_one) {
  // Mostly nothing is above in a whole group, so it is asked about once.
  constexpr size_t kGroup = 4;
  static_assert(kGroup * V::kLanes <= kCollectBlock);
  const typename V::Ints limit = V::SetInts(above);
  size_t count = candidates->count;
  size_t i = begin;
  for (; i + kGroup * V::kLanes <= n && count + kCollectBlock <= candidates->room;
       i += kGroup * V::kLanes) {
    typename V::Floats values[kGroup];
    uint32_t masks[kGroup];
    uint32_t any = 0;
    for (size_t v = 0; v < kGroup; ++v) {
      values[v] = correct(i + v * V::kLanes);
      masks[v] = V::Above(V::Magnitude(values[v]), limit);
      any |= masks[v];
    }
    if (any == 0) continue;
    for (size_t v = 0; v < kGroup; ++v) {
      count += V::Append(values[v], static_cast<int32_t>(i + v * V::kLanes), masks[v],
                         candidates->indices + count, candidates->values + count);
    }
  }
  // The elements of a last, incomplete group.
  if (n - i < kGroup * V::kLanes) {
    for (; i < n && count < candidates->room; ++i) {
      const float value = correct_one(i);
      candidates->indices[count] = static_cast<int32_t>(i);
      candidates->values[count] = value;
      count += MagnitudeOf(value) > above ? 1 : 0;
    }
  }
  candidates->count = count;
  return i;
}

template <class V>
size_t Collect(const float* in, size_t begin, size_t n, int32_t above, Candidates* candidates) {
  return CollectOf<V>(
      begin, n, above, candidates, [in](size_t i) { return V::Load(in + i); },
      [in](size_t i) { return in[i]; });
}

template <class V>
size_t CollectCorrected(const float* in, float* residual, size_t begin, size_t n, int32_t above,
                        Candidates* candidates) {
  const auto correct = [in, residual](size_t i) {
    const typename V::Floats corrected = V::Add(V::Load(residual + i), V::Load(in + i));
    V::Store(corrected, residual + i);
    return corrected;
  };
  return CollectOf<V>(begin, n, above, candidates, correct,
                      [in, residual](size_t i) { return residual[i] += in[i]; });
}

template <class V>
constexpr CodecLoops LoopsOf(const char* name) {
  return {
      name,         EncodeHalves<V>,       EncodeHalvesCorrected<V>, DecodeHalves<V>, AddHalves<V>,
      PackSigns<V>, PackSignsCorrected<V>, UnpackSigns<V>,           AddSigns<V>,     Clear<V>,
      Collect<V>,   CollectCorrected<V>};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_BODY_H_
