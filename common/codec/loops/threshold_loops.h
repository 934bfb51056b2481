#ifndef RINGMASTER_COMMON_CODEC_LOOPS_THRESHOLD_LOOPS_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_THRESHOLD_LOOPS_H_

#include <cstddef>
#include <cstdint>

namespace ringmaster {

// Of some values: how many have a magnitude above a limit, and the largest magnitude of all.
struct AboveCount {
  int64_t count = 0;
  int32_t largest = 0;
};

// The inner loops of the codecs that compare with a threshold, for one instruction set. All sets
// give the same bits. Nothing needs to be aligned. Magnitudes and limits are MagnitudeOf (loops.h).
// Pure, thread-safe.
struct ThresholdLoops {
  const char* name;

  // twobit. Two bits a value, from the lowest of the first byte on: 1 at or above the threshold, 2
  // at or below its negative, 3 of what is not finite, else 0; those past the end are 0. Whether
  // all values are finite.
  bool (*encode_twobits)(const float* in, size_t n, float threshold, uint8_t* out);
  // `residual` first becomes in + residual, which is what is encoded, and is then left with what
  // that leaves out.
  bool (*encode_twobits_corrected)(const float* in, float* residual, size_t n, float threshold,
                                   uint8_t* out);
  // out = the threshold, its negative or 0, and out += the same. No two bits are 3.
  void (*decode_twobits)(const uint8_t* in, size_t n, float threshold, float* out);
  void (*add_twobits)(const uint8_t* in, size_t n, float threshold, float* out);

  // threshold.
  AboveCount (*count_above)(const float* in, size_t n, int32_t above);
  // Floats: the values whose magnitude is above `above`, and 0 in place of the others.
  void (*keep_above)(const float* in, size_t n, int32_t above, std::byte* out);
  // The others: 0 in place of those.
  void (*clear_above)(size_t n, int32_t above, float* values);
  // out = floats that keep_above writes, and out += them, but for zeros. Returns how many are not
  // 0; -1 where one of these is not above `above`, or not finite.
  int64_t (*store_kept)(const std::byte* in, size_t n, int32_t above, float* out);
  int64_t (*add_kept)(const std::byte* in, size_t n, int32_t above, float* out);
};

const ThresholdLoops& Avx2ThresholdLoops();
// Null where the machine lacks it.
const ThresholdLoops* Avx512ThresholdLoops();
// The fastest set of this machine.
const ThresholdLoops& BestThresholdLoops();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_THRESHOLD_LOOPS_H_
