#ifndef RINGMASTER_COMMON_CODEC_LOOPS_LOOPS_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_LOOPS_H_

#include <cstddef>
#include <cstdint>

namespace ringmaster {

// Elements that may be among the largest, in order of their index. `indices` and `values` have room
// for `room` elements each.
struct Candidates {
  int32_t* indices = nullptr;
  float* values = nullptr;
  size_t count = 0;
  size_t room = 0;
};

// |value| as an integer of the same order; NaNs stand above infinity.
inline int32_t MagnitudeOf(float value) {
  int32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits & 0x7FFFFFFF;
}

inline constexpr float kLargestHalf = 65504.0f;

// What values are multiplied by before they become halves, or halves when they become values; and
// the largest magnitude of a half.
struct HalfScale {
  float factor = 1;
  float most = kLargestHalf;
};

// The inner loops of the codecs for one instruction set. All sets give the same bits. Nothing needs
// to be aligned. "Corrected": `residual` [n] first becomes in + residual, which is what is encoded.
// Pure, thread-safe.
struct CodecLoops {
  const char* name;

  // fp16. Rounds to nearest even; finite products beyond the range become +-most.
  void (*encode_halves)(const float* in, size_t n, HalfScale by, std::byte* out);
  // With a factor of 1. Leaves in `residual` what the halves leave out. Whether all that was
  // encoded is finite.
  bool (*encode_halves_corrected)(const float* in, float* residual, size_t n, std::byte* out);
  // out = the halves times the factor, out += the same. Whether no half is above `most`; one that
  // is not finite is.
  bool (*decode_halves)(const std::byte* in, size_t n, HalfScale by, float* out);
  bool (*add_halves)(const std::byte* in, size_t n, HalfScale by, float* out);

  // onebit. Bit i % 8 of bits[i / 8] becomes the sign bit of value i, the bits past the end 0.
  // Returns the sum of the magnitudes in double precision, in the order of sum_order.h.
  double (*pack_signs)(const float* in, size_t n, uint8_t* bits);
  double (*pack_signs_corrected)(const float* in, float* residual, size_t n, uint8_t* bits);
  // out[i] = bit i ? -magnitude : magnitude, and out[i] += the same.
  void (*unpack_signs)(const uint8_t* bits, float magnitude, size_t n, float* out);
  void (*add_signs)(const uint8_t* bits, float magnitude, size_t n, float* out);

  // topk. out = 0.
  void (*clear)(size_t n, float* out);
  // Appends the elements from `begin` on whose magnitude is above `above` (-1: all), until `n`, or
  // until there may be no room for more. Returns where it stopped. The room must be kCollectBlock
  // at least.
  size_t (*collect)(const float* in, size_t begin, size_t n, int32_t above, Candidates* candidates);
  size_t (*collect_corrected)(const float* in, float* residual, size_t begin, size_t n,
                              int32_t above, Candidates* candidates);
};

// A collect goes on while there is room for this many candidates.
inline constexpr size_t kCollectBlock = 64;

// The baseline, which every machine has.
const CodecLoops& Avx2Loops();
// Null where the machine lacks it.
const CodecLoops* Avx512Loops();
// The fastest set of this machine.
const CodecLoops& BestLoops();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_LOOPS_H_
