#ifndef RINGMASTER_COMMON_CODEC_WIRE_CHECKS_H_
#define RINGMASTER_COMMON_CODEC_WIRE_CHECKS_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

// For those who write codecs: what Decode refuses, with one text for all. Pure, thread-safe.

// InvalidArgument unless an encoding of `count` floats has the bytes that are expected.
absl::Status CheckEncodedBytes(const char* codec, int64_t bytes, int64_t expected, int64_t count);

// InvalidArgument unless the bits beyond the signs of `count` floats, which end `signs`, eight a
// byte, are zeros. REQUIRES: they are there.
absl::Status CheckNoSignsBeyond(const char* codec, absl::Span<const std::byte> signs,
                                int64_t count);

// InvalidArgument that names the first of the 16-bit floats with all bits of `exponent` set, an
// infinity or a NaN, and the range that was left. REQUIRES: there is one.
absl::Status NotFiniteWord(const char* codec, absl::Span<const std::byte> words, uint16_t exponent,
                           const char* range);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_WIRE_CHECKS_H_
