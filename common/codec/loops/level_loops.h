#ifndef RINGMASTER_COMMON_CODEC_LOOPS_LEVEL_LOOPS_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_LEVEL_LOOPS_H_

#include <cstddef>
#include <cstdint>

#include "common/codec/loops/draws.h"

namespace ringmaster {

// The draws of a stretch of an encoding, whose first element is number `first` of it.
struct DrawsFrom {
  Draws draws;
  uint32_t first = 0;
};

// The least and the largest of some codes; 0 where there are none.
struct CodeRange {
  int32_t least = 0;
  int32_t largest = 0;
};

// What positive values add up to, and the magnitudes of negative ones, in double precision. Not
// finite where a value is not.
struct SignSums {
  double positive = 0;
  double negative = 0;
};

// The inner loops of the codecs that send small whole numbers, bfloat16 and powers of two, for one
// instruction set. All sets give the same bits. Nothing needs to be aligned. Codes are finite
// floats' whole numbers of -127 to 127. Pure, thread-safe.
struct LevelLoops {
  const char* name;

  // The largest MagnitudeOf (loops.h); 0 where n is 0.
  int32_t (*largest)(const float* in, size_t n);
  // In double precision, whose products are exact, over 32 interleaved partial sums.
  double (*sum_of_squares)(const float* in, size_t n);
  // codes[i] = in[i] * inverse, rounded to nearest even; or to the whole number below or above it,
  // to the one above with a probability of how far it is beyond the one below, in steps of 2^-24.
  // The n floats are a block of more: both ask for the block after the next. Measured on 16 MiB in
  // blocks of 512: 1.6 times as fast, and a block less far ahead 1.3 times.
  void (*round_nearest)(const float* in, size_t n, float inverse, int8_t* codes);
  void (*round_random)(const float* in, size_t n, float inverse, DrawsFrom draws, int8_t* codes);
  // Codes as two's complements of `bits` bits, 2 to 8, one after the other from the lowest bit of
  // the first byte on: ceil(n * bits / 8) bytes, of which the bits past the end are 0.
  void (*pack)(const int8_t* codes, size_t n, int bits, uint8_t* out);
  CodeRange (*unpack)(const uint8_t* in, size_t n, int bits, int8_t* codes);
  // out[i] = codes[i] * unit, and out[i] += the same.
  void (*scale_codes)(const int8_t* codes, size_t n, float unit, float* out);
  void (*add_codes)(const int8_t* codes, size_t n, float unit, float* out);

  // The upper half of a float's bits, rounded to nearest even; finite values beyond the range
  // become the largest of their sign, NaNs one NaN.
  void (*encode_bfloats)(const float* in, size_t n, std::byte* out);
  // out = the values, out += them, out -= them. Whether all of them are finite.
  bool (*decode_bfloats)(const std::byte* in, size_t n, float* out);
  bool (*add_bfloats)(const std::byte* in, size_t n, float* out);
  bool (*subtract_bfloats)(const std::byte* in, size_t n, float* out);

  // A power of two below or above, to the one above with a probability of how far the value is
  // beyond the one below: the exponents, and the signs as onebit packs them, bits past the end 0.
  // Magnitudes of 2^127 and more become 2^127; what is not finite gets exponent 255.
  void (*encode_powers)(const float* in, size_t n, DrawsFrom draws, uint8_t* exponents,
                        uint8_t* signs);
  // The same three. Whether all exponents are below 255.
  bool (*decode_powers)(const uint8_t* exponents, const uint8_t* signs, size_t n, float* out);
  bool (*add_powers)(const uint8_t* exponents, const uint8_t* signs, size_t n, float* out);
  bool (*subtract_powers)(const uint8_t* exponents, const uint8_t* signs, size_t n, float* out);

  // The signs as onebit packs them, bits past the end 0. The sums are of 16 interleaved ones.
  SignSums (*pack_signs_apart)(const float* in, size_t n, uint8_t* bits);
  // out[i] = values[bit i], and out[i] += the same.
  void (*choose)(const uint8_t* bits, size_t n, const float values[2], float* out);
  void (*add_chosen)(const uint8_t* bits, size_t n, const float values[2], float* out);
};

const LevelLoops& Avx2LevelLoops();
// Null where the machine lacks it.
const LevelLoops* Avx512LevelLoops();
// The fastest set of this machine.
const LevelLoops& BestLevelLoops();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_LEVEL_LOOPS_H_
