#ifndef RINGMASTER_COMMON_CODEC_LEVEL_CODEC_H_
#define RINGMASTER_COMMON_CODEC_LEVEL_CODEC_H_

#include <cstdint>
#include <memory>

#include "common/codec/codec.h"

namespace ringmaster {

// A codec of whole numbers: `block` floats that follow each other share a float, the unit, and each
// of them becomes a multiple of it.
//
// The unit is the block's scale divided by `levels`; the scale is its largest magnitude, or its L2
// norm. The whole numbers, of -levels to levels, are rounded to nearest even, or at random to the
// one below or above, so that the mean over the draws is the float itself, up to 2^-21 of it and
// 2^-24 of the unit. A unit below 2^-126, the smallest normal float, becomes 0, and so does its
// block. Norms beyond the largest float become that.
//
// The encoding: the units of all blocks, float32, then all whole numbers as two's complements of 1
// + ceil(lg(levels + 1)) bits, one after the other from the lowest bit of the first byte on; bits
// past the end are 0. 4 ceil(count / block) + ceil(count bits / 8) bytes.
struct LevelFormat {
  const char* name;
  CodecTraits traits;
  int32_t levels;  // 1 to 127
  int32_t block;   // 1 to kLevelBlockMost
  bool random;     // how it rounds
  bool by_norm;    // the L2 norm is the scale
};

inline constexpr int32_t kLevelBlockMost = 65536;

// The codec of `format`, of up to 2^31 - 1 elements. A thread that encodes or decodes keeps memory
// of 8 * format.block bytes, and at least 4 KiB.
std::unique_ptr<Codec> CreateLevelCodec(const LevelFormat& format);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LEVEL_CODEC_H_
