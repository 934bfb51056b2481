#ifndef RINGMASTER_COMMON_TRANSPORT_FRAME_H_
#define RINGMASTER_COMMON_TRANSPORT_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "common/base/message.h"

namespace ringmaster {

// Raised when frames or handshakes change, so that two builds never misread each other.
inline constexpr uint32_t kWireVersion = 4;

// What stands before each segment on the wire.
struct FrameHeader {
  NodeId from;
  NodeId to;
  Tag tag;
  int64_t total_bytes = 0;  // of the message
  int64_t offset = 0;       // of this segment in it
  int64_t length = 0;       // of this segment: what follows the header
};

// 64 bytes, little-endian: magic u32, version u8, from.role u8, to.role u8, kind u8, from.index
// i32, to.index i32, round u16, piece u16, bucket i32, step i64, note i64, total i64, offset i64,
// length u32, channel u16, zero u16.
inline constexpr int64_t kFrameHeaderBytes = 64;
using FrameHeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

// The header in its wire form.
FrameHeaderBytes EncodeFrameHeader(const FrameHeader& header);

// Reads a header from anyone. OK means that every field is in its range, that 0 <= offset, that
// offset + length <= total, that length <= segment_bytes, and that only an empty message has an
// empty segment. InvalidArgument names the first field that is not.
absl::StatusOr<FrameHeader> DecodeFrameHeader(const FrameHeaderBytes& bytes, int64_t segment_bytes);

// Frames that a message is cut into: one for an empty message.
int64_t FrameCount(int64_t payload_bytes, int64_t segment_bytes);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_FRAME_H_
