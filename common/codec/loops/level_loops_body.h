#ifndef RINGMASTER_COMMON_CODEC_LOOPS_LEVEL_LOOPS_BODY_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_LEVEL_LOOPS_BODY_H_

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/codec/loops/groups.h"
#include "common/codec/loops/level_loops.h"
#include "common/codec/loops/loops.h"

// The loops over vectors V (vectors_avx2.h): no element depends on another, and sums have one
// order, so all sets give the same bits. Included by one source file for each set.

namespace ringmaster {

// Codes and exponents are written four vectors at a time.
template <class V>
inline constexpr size_t kFour = 4 * V::kLanes;

template <class V>
int32_t LevelLargest(const float* in, size_t n) {
  typename V::Ints largest[4] = {V::Zero(), V::Zero(), V::Zero(), V::Zero()};
  size_t i = 0;
  for (; i + kFour<V> <= n; i += kFour<V>) {
    for (size_t v = 0; v < 4; ++v)
      largest[v] = V::Larger(largest[v], V::Magnitude(V::Load(in + i + v * V::kLanes)));
  }
  int32_t most = V::LargestLane(
      V::Larger(V::Larger(largest[0], largest[1]), V::Larger(largest[2], largest[3])));
  for (; i < n; ++i) most = std::max(most, MagnitudeOf(in[i]));
  return most;
}

template <class V>
double LevelSumOfSquares(const float* in, size_t n) {
  constexpr size_t kLanes = 32, kSums = kLanes / V::kDoubles;
  typename V::Doubles sums[kSums];
  for (auto& sum : sums) sum = V::ZeroDoubles();
  const auto add = [&sums](const float* from) {
    for (size_t s = 0; s < kSums; ++s)
      sums[s] = V::AddSquares(V::Widen(from + s * V::kDoubles), sums[s]);
  };
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) add(in + i);
  if (i < n) add(Padded<V, float, kLanes>(in + i, n - i).values);
  return FoldVectors<V>(sums);
}

template <class V>
void LevelRoundNearest(const float* in, size_t n, float inverse, int8_t* codes) {
  const typename V::Floats factor = V::Set(inverse);
  ForGroups<V, kFour<V>>(in, codes, n, [&](const float* from, int8_t* to, size_t) {
    typename V::Ints wholes[4];
    for (size_t v = 0; v < 4; ++v) {
      PrefetchForLoad(from + v * V::kLanes, 2 * n);
      wholes[v] = V::Round(V::Multiply(V::Load(from + v * V::kLanes), factor));
    }
    V::StoreCodes(wholes, to);
  });
}

// The draws of kFour elements from number i on, by Draws::Of.
template <class V>
class VectorDraws {
 public:
  explicit VectorDraws(DrawsFrom from)
      : first_(
            V::AddInts(V::SetInts(static_cast<int32_t>(from.first + from.draws.low)), V::Count())),
        high_(V::SetInts(static_cast<int32_t>(from.draws.high))) {}

  void At(size_t i, typename V::Ints (&draws)[4]) const {
    // A pair of vectors has one of words, or two pairs two.
    constexpr size_t kApart = Draws::kApart / V::kLanes;
    const typename V::Ints base = V::AddInts(first_, V::SetInts(static_cast<int32_t>(i / 2)));
    for (size_t pair = 0; pair < 2; ++pair) {
      const auto offset = static_cast<int32_t>(pair * V::kLanes);
      const typename V::Ints words = WordsOf(V::AddInts(base, V::SetInts(offset)));
      const size_t v = kApart == 1 ? 2 * pair : pair;
      draws[v] = V::template Right<8>(words);
      draws[v + kApart] = V::RotatedDraws(words);
    }
  }

 private:
  // Draws::Word.
  typename V::Ints WordsOf(typename V::Ints x) const {
    x = V::Xor(x, V::template Right<16>(x));
    x = V::MultiplyInts(x, V::SetInts(0x21F0AAAD));
    x = V::Xor(x, V::template Right<15>(x));
    x = V::AddInts(x, high_);
    x = V::MultiplyInts(x, V::SetInts(static_cast<int32_t>(0xD35A2D97u)));
    return V::Xor(x, V::template Right<15>(x));
  }

  const typename V::Ints first_, high_;
};

// In whole numbers of 2^-24, which are exact: a float becomes one, and its draw is added before the
// lower 24 bits are cut off.
template <class V>
void LevelRoundRandom(const float* in, size_t n, float inverse, DrawsFrom from, int8_t* codes) {
  const VectorDraws<V> draws(from);
  const auto round = [&](auto scaled) {
    ForGroups<V, kFour<V>>(in, codes, n, [&](const float* at, int8_t* to, size_t i) {
      typename V::Ints wholes[4];
      draws.At(i, wholes);
      for (size_t v = 0; v < 4; ++v) {
        PrefetchForLoad(at + v * V::kLanes, 2 * n);
        const typename V::Ints place = V::Round(scaled(V::Load(at + v * V::kLanes)));
        wholes[v] = V::template RightSigned<24>(V::AddInts(place, wholes[v]));
      }
      V::StoreCodes(wholes, to);
    });
  };
  const typename V::Floats factor = V::Set(inverse), places = V::Set(0x1p24f);
  if (inverse < 0x1p100f) {
    const typename V::Floats both = V::Multiply(factor, places);
    round([&](typename V::Floats values) { return V::Multiply(values, both); });
  } else {
    round([&](typename V::Floats values) {
      return V::Multiply(V::Multiply(values, factor), places);
    });
  }
}

// The lowest `bits` bits of each byte.
inline constexpr uint64_t LowBitsOfBytes(int bits) {
  return 0x0101010101010101u * ((uint64_t{1} << bits) - 1);
}

template <class V>
void LevelPack(const int8_t* codes, size_t n, int bits, uint8_t* out) {
  size_t i = 0, at = 0;
  // Of 2, 4 and 8 bits the compiler makes vectors.
  if (bits == 8) {
    std::memcpy(out, codes, n);
    return;
  }
  if (bits == 4) {
    for (; i + 2 <= n; i += 2)
      out[at++] = static_cast<uint8_t>((codes[i] & 15) | (codes[i + 1] & 15) << 4);
  }
  if (bits == 2) {
    for (; i + 4 <= n; i += 4) {
      out[at++] = static_cast<uint8_t>((codes[i] & 3) | (codes[i + 1] & 3) << 2 |
                                       (codes[i + 2] & 3) << 4 | (codes[i + 3] & 3) << 6);
    }
  }
  const uint64_t mask = LowBitsOfBytes(bits);
  const size_t bytes = (n * static_cast<size_t>(bits) + 7) / 8;
  for (; i + 8 <= n; i += 8, at += static_cast<size_t>(bits)) {
    uint64_t group;
    std::memcpy(&group, codes + i, sizeof(group));
    group = _pext_u64(group, mask);
    // The whole word where there is room: the next group writes over what is past its own.
    if (at + sizeof(group) <= bytes) {
      std::memcpy(out + at, &group, sizeof(group));
    } else {
      std::memcpy(out + at, &group, std::min<size_t>(bytes - at, static_cast<size_t>(bits)));
    }
  }
  if (i == n) return;
  uint64_t group = 0;
  std::memcpy(&group, codes + i, n - i);
  group = _pext_u64(group, mask);
  std::memcpy(out + at, &group, bytes - at);
}

template <class V>
CodeRange LevelUnpack(const uint8_t* in, size_t n, int bits, int8_t* codes) {
  const uint64_t mask = LowBitsOfBytes(bits);
  const size_t bytes = (n * static_cast<size_t>(bits) + 7) / 8;
  size_t i = 0, at = 0;
  if (bits == 8) {
    std::memcpy(codes, in, n);
    i = n;
  }
  if (bits == 4) {
    for (; i + 2 <= n; i += 2, ++at) {
      codes[i] = static_cast<int8_t>(in[at] & 15);
      codes[i + 1] = static_cast<int8_t>(in[at] >> 4);
    }
  }
  for (; i + 8 <= n && at + sizeof(uint64_t) <= bytes; i += 8, at += static_cast<size_t>(bits)) {
    uint64_t group;
    std::memcpy(&group, in + at, sizeof(group));
    group = _pdep_u64(group, mask);
    std::memcpy(codes + i, &group, sizeof(group));
  }
  for (; i < n; i += 8, at += static_cast<size_t>(bits)) {
    uint64_t group = 0;
    std::memcpy(&group, in + at, std::min<size_t>(bytes - at, static_cast<size_t>(bits)));
    group = _pdep_u64(group, mask);
    std::memcpy(codes + i, &group, std::min<size_t>(n - i, sizeof(group)));
  }
  const int sign = 1 << (bits - 1);
  int8_t least = 0, largest = 0;
  for (size_t k = 0; k < n; ++k) {
    codes[k] = static_cast<int8_t>((codes[k] ^ sign) - sign);
    least = std::min(least, codes[k]);
    largest = std::max(largest, codes[k]);
  }
  return {least, largest};
}

template <class V>
void LevelScaleCodes(const int8_t* codes, size_t n, float unit, float* out) {
  const typename V::Floats units = V::Set(unit);
  ForGroups<V, V::kLanes>(codes, out, n, [&](const int8_t* from, float* to, size_t) {
    PrefetchForStore(to);
    V::Store(V::Multiply(V::ToFloats(V::LoadCodes(from)), units), to);
  });
}

template <class V>
void LevelAddCodes(const int8_t* codes, size_t n, float unit, float* out) {
  const typename V::Floats units = V::Set(unit);
  ForGroups<V, V::kLanes>(codes, out, n, [&](const int8_t* from, float* to, size_t) {
    V::Store(V::Add(V::Load(to), V::Multiply(V::ToFloats(V::LoadCodes(from)), units)), to);
  });
}

template <class V>
void LevelEncodeBfloats(const float* in, size_t n, std::byte* out) {
  Word* const words = reinterpret_cast<Word*>(out);
  ForGroups<V, V::kLanes>(in, words, n, [](const float* from, Word* to, size_t) {
    const typename V::Floats values = V::Load(from);
    const typename V::Ints magnitude = V::Magnitude(values);
    const typename V::Ints odd = V::And(V::template Right<16>(magnitude), V::SetInts(1));
    const typename V::Ints rounded =
        V::template Right<16>(V::AddInts(V::AddInts(magnitude, V::SetInts(0x7FFF)), odd));
    const typename V::Ints finite = V::Smaller(rounded, V::SetInts(0x7F7F));
    const typename V::Ints other = V::Where(V::IsAbove(magnitude, V::SetInts(0x7F800000)),
                                            V::SetInts(0x7FC0), V::SetInts(0x7F80));
    const typename V::Ints half =
        V::Where(V::IsAbove(V::SetInts(0x7F800000), magnitude), finite, other);
    const typename V::Ints sign =
        V::And(V::template Right<16>(V::Bits(values)), V::SetInts(0x8000));
    V::StoreWords(V::Or(half, sign), to->bytes);
  });
}

template <class V, class How>
bool LevelDecodeBfloats(const std::byte* in, size_t n, float* out) {
  typename V::Ints largest = V::Zero();
  const Word* const words = reinterpret_cast<const Word*>(in);
  ForGroups<V, V::kLanes>(words, out, n, [&](const Word* from, float* to, size_t) {
    const typename V::Floats values = V::FloatsOf(V::template Left<16>(V::LoadWords(from->bytes)));
    largest = V::Larger(largest, V::Magnitude(values));
    How::template Use<V>(values, to);
  });
  return V::AllFinite(largest);
}

// A carry out of the significand is the power of two above; exponent 254 keeps its own.
template <class V>
void LevelEncodePowers(const float* in, size_t n, DrawsFrom first, uint8_t* exponents,
                       uint8_t* signs) {
  const VectorDraws<V> draws(first);
  const typename V::Ints limit = V::SetInts(0x7F000000);
  ForGroups<V, kFour<V>>(in, exponents, n, [&](const float* from, uint8_t* to, size_t i) {
    typename V::Ints powers[4];
    draws.At(i, powers);
    uint64_t negative = 0;
    for (size_t v = 0; v < 4; ++v) {
      const typename V::Floats values = V::Load(from + v * V::kLanes);
      const typename V::Ints magnitude = V::Magnitude(values);
      const typename V::Ints carried = V::AddInts(magnitude, V::template Right<1>(powers[v]));
      powers[v] = V::template Right<23>(V::Where(V::IsAbove(limit, magnitude), carried, magnitude));
      negative |= static_cast<uint64_t>(V::Signs(values)) << (v * V::kLanes);
    }
    V::StoreBytes(powers, to);
    std::memcpy(signs + i / 8, &negative, i + kFour<V> <= n ? kFour<V> / 8 : (n - i + 7) / 8);
  });
}

// Of kLanes elements from number i on, zeros past the end.
template <class V>
inline typename V::SignWord SignWordAt(const uint8_t* bits, size_t i, size_t n) {
  typename V::SignWord word = 0;
  std::memcpy(&word, bits + i / 8, i + V::kLanes <= n ? sizeof(word) : (n - i + 7) / 8);
  return word;
}

template <class V, class How>
bool LevelDecodePowers(const uint8_t* exponents, const uint8_t* signs, size_t n, float* out) {
  typename V::Ints largest = V::Zero();
  ForGroups<V, V::kLanes>(exponents, out, n, [&](const uint8_t* from, float* to, size_t i) {
    const typename V::Ints powers = V::LoadBytes(from);
    largest = V::Larger(largest, powers);
    const typename V::Floats magnitudes = V::FloatsOf(V::template Left<23>(powers));
    How::template Use<V>(V::WithSigns(SignWordAt<V>(signs, i, n), magnitudes), to);
  });
  return V::Above(largest, V::SetInts(254)) == 0;
}

// 16 lanes: four vectors of AVX2 for either sign, whose additions need not wait for each other.
template <class V>
SignSums LevelPackSignsApart(const float* in, size_t n, uint8_t* bits) {
  constexpr size_t kLanes = 16, kSums = kLanes / V::kDoubles;
  typename V::Doubles sums[2][kSums];
  for (auto& of_sign : sums) {
    for (auto& sum : of_sign) sum = V::ZeroDoubles();
  }
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    uint32_t negative = 0;
    PrefetchForLoad(in + i, kAhead);
    for (size_t v = 0; v < kLanes; v += V::kLanes) negative |= V::Signs(V::Load(in + i + v)) << v;
    std::memcpy(bits + i / 8, &negative, kLanes / 8);
    for (size_t s = 0; s < kSums; ++s) {
      const typename V::Doubles values = V::Widen(in + i + s * V::kDoubles);
      sums[0][s] = V::AddDoubles(sums[0][s], V::AtLeastZero(values));
      sums[1][s] = V::AddDoubles(sums[1][s], V::AtMostZero(values));
    }
  }
  alignas(64) double lanes[2][kLanes];
  for (size_t sign = 0; sign < 2; ++sign) {
    for (size_t s = 0; s < kSums; ++s)
      V::StoreDoubles(sums[sign][s], lanes[sign] + s * V::kDoubles);
  }
  uint32_t last = 0;
  for (size_t lane = 0; i + lane < n; ++lane) {
    const float value = in[i + lane];
    // A NaN goes to both.
    if (!(value < 0)) lanes[0][lane] += value;
    if (!(value > 0)) lanes[1][lane] += value;
    last |= (std::signbit(value) ? 1u : 0u) << lane;
  }
  if (i < n) std::memcpy(bits + i / 8, &last, (n - i + 7) / 8);
  return {FoldLanes<V>(lanes[0]), -FoldLanes<V>(lanes[1])};
}

template <class V, class How>
void LevelChoose(const uint8_t* bits, size_t n, const float values[2], float* out) {
  const typename V::Floats clear = V::Set(values[0]), set = V::Set(values[1]);
  const auto choose = [&](size_t i, float* to) {
    How::template Use<V>(V::Where(V::MaskOf(SignWordAt<V>(bits, i, n)), set, clear), to);
  };
  size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) choose(i, out + i);
  if (i == n) return;
  Padded<V, float, V::kLanes> last(out + i, n - i);
  choose(i, last.values);
  last.To(out + i, n - i);
}

template <class V>
constexpr LevelLoops LevelLoopsOf(const char* name) {
  return {name,
          LevelLargest<V>,
          LevelSumOfSquares<V>,
          LevelRoundNearest<V>,
          LevelRoundRandom<V>,
          LevelPack<V>,
          LevelUnpack<V>,
          LevelScaleCodes<V>,
          LevelAddCodes<V>,
          LevelEncodeBfloats<V>,
          LevelDecodeBfloats<V, Stores>,
          LevelDecodeBfloats<V, Adds>,
          LevelDecodeBfloats<V, Subtracts>,
          LevelEncodePowers<V>,
          LevelDecodePowers<V, Stores>,
          LevelDecodePowers<V, Adds>,
          LevelDecodePowers<V, Subtracts>,
          LevelPackSignsApart<V>,
          LevelChoose<V, Stores>,
          LevelChoose<V, Adds>};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_LEVEL_LOOPS_BODY_H_
