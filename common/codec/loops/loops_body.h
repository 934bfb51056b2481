#ifndef RINGMASTER_COMMON_CODEC_LOOPS_LOOPS_BODY_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_LOOPS_BODY_H_

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/codec/loops/groups.h"
#include "common/codec/loops/loops.h"
#include "common/codec/sum_order.h"

// The loops over vectors V (vectors_avx2.h). Included by one source file for each set.

namespace ringmaster {

template <class V>
void EncodeHalves(const float* in, size_t n, HalfScale by, std::byte* out) {
  const typename V::Floats factor = V::Set(by.factor);
  ForGroups<V, V::kLanes>(in, reinterpret_cast<Word*>(out), n,
                          [&](const float* from, Word* to, size_t) {
                            PrefetchForLoad(from, kAhead);
                            const typename V::Floats values = V::Multiply(V::Load(from), factor);
                            V::StoreHalves(V::Saturate(values, by.most), to->bytes);
                          });
}

// One vector of encode_halves_corrected; returns the largest magnitude so far.
template <class V>
typename V::Ints EncodeCorrectedVector(const float* in, float* residual, std::byte* out,
                                       typename V::Ints largest) {
  const typename V::Floats corrected = V::Add(V::Load(residual), V::Load(in));
  V::StoreHalves(V::Saturate(corrected, kLargestHalf), out);
  V::Store(V::Subtract(corrected, V::LoadHalves(out)), residual);
  return V::Larger(largest, V::Magnitude(corrected));
}

template <class V>
bool EncodeHalvesCorrected(const float* in, float* residual, size_t n, std::byte* out) {
  typename V::Ints largest = V::Zero();
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes)
    largest = EncodeCorrectedVector<V>(in + i, residual + i, out + 2 * i, largest);
  if (i < n) {
    const Padded<V, float, V::kLanes> gradient(in + i, n - i);
    Padded<V, float, V::kLanes> left(residual + i, n - i);
    std::byte halves[2 * V::kLanes];
    largest = EncodeCorrectedVector<V>(gradient.values, left.values, halves, largest);
    left.To(residual + i, n - i);
    std::memcpy(out + 2 * i, halves, 2 * (n - i));
  }
  return V::AllFinite(largest);
}

template <class V, class How>
bool DecodeHalves(const std::byte* in, size_t n, HalfScale by, float* out) {
  typename V::Ints largest = V::Zero();
  const typename V::Floats factor = V::Set(by.factor);
  ForGroups<V, V::kLanes>(reinterpret_cast<const Word*>(in), out, n,
                          [&](const Word* from, float* to, size_t) {
                            const typename V::Floats values = V::LoadHalves(from->bytes);
                            largest = V::Larger(largest, V::Magnitude(values));
                            How::template Use<V>(V::Multiply(values, factor), to);
                          });
  return V::Above(largest, V::SetInts(MagnitudeOf(by.most))) == 0;
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
        PrefetchForLoad(values, kAhead);
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
  return FoldLanes<V>(totals);
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
  return {name,
          EncodeHalves<V>,
          EncodeHalvesCorrected<V>,
          DecodeHalves<V, Stores>,
          DecodeHalves<V, Adds>,
          PackSigns<V>,
          PackSignsCorrected<V>,
          UnpackSigns<V>,
          AddSigns<V>,
          Clear<V>,
          Collect<V>,
          CollectCorrected<V>};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_LOOPS_BODY_H_
