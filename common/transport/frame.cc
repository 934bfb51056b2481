#include "common/transport/frame.h"

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/partition.h"

namespace ringmaster {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the wire form is copied as it lies in memory");

constexpr uint32_t kMagic = 0x31464D52;  // "RMF1"

// Copies fields to or from consecutive places of the wire form.
class Writer {
 public:
  explicit Writer(FrameHeaderBytes& bytes) : bytes_(bytes) {}
  template <typename T>
  void Put(T value) {
    std::memcpy(bytes_.data() + place_, &value, sizeof(value));
    place_ += sizeof(value);
  }

 private:
  FrameHeaderBytes& bytes_;
  size_t place_ = 0;
};

class Reader {
 public:
  explicit Reader(const FrameHeaderBytes& bytes) : bytes_(bytes) {}
  template <typename T>
  T Take() {
    T value;
    std::memcpy(&value, bytes_.data() + place_, sizeof(value));
    place_ += sizeof(value);
    return value;
  }

 private:
  const FrameHeaderBytes& bytes_;
  size_t place_ = 0;
};

absl::Status BadField(const char* field, int64_t value, const char* expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("frame header: ", field, " is ", value, ", expected ", expected));
}

}  // namespace

FrameHeaderBytes EncodeFrameHeader(const FrameHeader& header) {
  FrameHeaderBytes bytes;
  Writer writer(bytes);
  writer.Put<uint32_t>(kMagic);
  writer.Put<uint8_t>(kWireVersion);
  writer.Put<uint8_t>(static_cast<uint8_t>(header.from.role));
  writer.Put<uint8_t>(static_cast<uint8_t>(header.to.role));
  writer.Put<uint8_t>(static_cast<uint8_t>(header.tag.kind));
  writer.Put<int32_t>(header.from.index);
  writer.Put<int32_t>(header.to.index);
  writer.Put<uint16_t>(header.tag.round);
  writer.Put<uint16_t>(header.tag.piece);
  writer.Put<int32_t>(header.tag.bucket);
  writer.Put<int64_t>(header.tag.step);
  writer.Put<int64_t>(header.tag.note);
  writer.Put<int64_t>(header.total_bytes);
  writer.Put<int64_t>(header.offset);
  writer.Put<uint32_t>(static_cast<uint32_t>(header.length));
  writer.Put<uint16_t>(header.tag.channel);
  writer.Put<uint16_t>(0);
  return bytes;
}

absl::StatusOr<FrameHeader> DecodeFrameHeader(const FrameHeaderBytes& bytes,
                                              int64_t segment_bytes) {
  Reader reader(bytes);
  FrameHeader header;
  const uint32_t magic = reader.Take<uint32_t>();
  if (magic != kMagic)
    return BadField("magic", magic, "that of Ringmaster; a stranger or a broken stream");
  const uint8_t version = reader.Take<uint8_t>();
  if (version != kWireVersion)
    return BadField("version", version, "this build's; use one build for all ranks");
  const uint8_t from_role = reader.Take<uint8_t>();
  const uint8_t to_role = reader.Take<uint8_t>();
  const uint8_t kind = reader.Take<uint8_t>();
  if (from_role > 1 || to_role > 1) return BadField("role", std::max(from_role, to_role), "0 or 1");
  if (kind > static_cast<uint8_t>(MessageKind::kTest)) return BadField("kind", kind, "0 to 4");
  header.from = {static_cast<Role>(from_role), reader.Take<int32_t>()};
  header.to = {static_cast<Role>(to_role), reader.Take<int32_t>()};
  header.tag.kind = static_cast<MessageKind>(kind);
  header.tag.round = reader.Take<uint16_t>();
  header.tag.piece = reader.Take<uint16_t>();
  header.tag.bucket = reader.Take<int32_t>();
  header.tag.step = reader.Take<int64_t>();
  header.tag.note = reader.Take<int64_t>();
  header.total_bytes = reader.Take<int64_t>();
  header.offset = reader.Take<int64_t>();
  header.length = reader.Take<uint32_t>();
  header.tag.channel = reader.Take<uint16_t>();
  const uint16_t unused = reader.Take<uint16_t>();
  if (unused != 0) return BadField("unused field", unused, "0");
  if (header.total_bytes < 0) return BadField("total", header.total_bytes, "0 or more bytes");
  if (header.length > segment_bytes)
    return BadField("length", header.length, "at most the segment size");
  if (header.offset < 0 || header.offset > header.total_bytes) {
    return BadField("offset", header.offset, "a place in the message");
  }
  if (header.length > header.total_bytes - header.offset) {
    return BadField("length", header.length, "no more than the message still lacks");
  }
  if (header.length == 0 && header.total_bytes > 0)
    return BadField("length", 0, "at least 1, as the message is not empty");
  return header;
}

int64_t FrameCount(int64_t payload_bytes, int64_t segment_bytes) {
  return std::max<int64_t>(1, CeilDiv(payload_bytes, segment_bytes));
}

}  // namespace ringmaster
