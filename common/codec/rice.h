#ifndef RINGMASTER_COMMON_CODEC_RICE_H_
#define RINGMASTER_COMMON_CODEC_RICE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

// Ascending indices as Rice codes of what lies between them. With g = index - previous - 1 (the
// first: g = index) and the parameter b, an index is g >> b ones, a zero, and the b low bits of g,
// the lowest first. Bits fill bytes from the lowest on; those left in the last byte are 0.
// Source: Rice and Plaunt 1971; the parameter as in Kiely 2004.

// The parameter b for `kept` of `count` elements, which both ends work out: the largest, from 0 on,
// with kept * 2^b <= 0.4812 * (2 * count - kept). It is the best for gaps of that mean, were the
// elements drawn at random; 0.4812 is the golden ratio's logarithm.
// REQUIRES: 0 < kept <= count < 2^31.
int RiceParameter(int64_t count, int64_t kept);

// The most bytes that the codes take, whichever elements they are.
int64_t MaxRiceBytes(int64_t count, int64_t kept);

// Writes the codes of `indices`, ascending and below `count`; returns bytes used.
//   out: at least MaxRiceBytes.
int64_t EncodeRice(int64_t count, absl::Span<const int32_t> indices, absl::Span<std::byte> out);

// Reads `indices` back. InvalidArgument: `in` is not exactly what EncodeRice writes of
// indices.size() ascending ones below `count`; `indices` is then unspecified. Reads nothing beyond
// `in`.
absl::Status DecodeRice(int64_t count, absl::Span<const std::byte> in, absl::Span<int32_t> indices);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_RICE_H_
