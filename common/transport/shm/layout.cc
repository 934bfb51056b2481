#include "common/transport/shm/layout.h"

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace ringmaster {
namespace {

absl::Status Bad(const char* field, int64_t value) {
  return absl::InvalidArgumentError(
      absl::StrCat("a descriptor's ", field, " is ", value, ", which is out of range"));
}

Role RoleOf(uint8_t flags, uint8_t server_bit) {
  return (flags & server_bit) != 0 ? Role::kServer : Role::kWorker;
}

}  // namespace

void WriteDescriptor(const FrameHeader& header, PayloadPlace payload_place, uint64_t place,
                     uint32_t ack_slot, Descriptor* descriptor) {
  const bool in_exchange = payload_place != PayloadPlace::kPool;
  descriptor->kind = static_cast<uint8_t>(header.tag.kind);
  descriptor->flags = (header.from.role == Role::kServer ? Descriptor::kFromServer : 0) |
                      (header.to.role == Role::kServer ? Descriptor::kToServer : 0) |
                      (in_exchange ? Descriptor::kInExchange : 0) |
                      (payload_place == PayloadPlace::kLent ? Descriptor::kLent : 0);
  descriptor->round = header.tag.round;
  descriptor->from_index = header.from.index;
  descriptor->to_index = header.to.index;
  descriptor->bucket = header.tag.bucket;
  descriptor->length_or_ack = in_exchange ? ack_slot : static_cast<uint32_t>(header.length);
  descriptor->step = header.tag.step;
  descriptor->note = header.tag.note;
  RM_CHECK(header.total_bytes >= 0 && header.total_bytes < int64_t{1} << 47);
  descriptor->total_and_channel =
      static_cast<uint64_t>(header.total_bytes) << 16 | header.tag.channel;
  descriptor->place = place;
  descriptor->offset_and_piece = static_cast<uint64_t>(header.offset) << 16 | header.tag.piece;
}

absl::StatusOr<Arrival> ReadDescriptor(const Descriptor& shared) {
  // Each field is read once: what is checked is what is used, whatever the peer writes meanwhile.
  const auto* const source = static_cast<const volatile Descriptor*>(&shared);
  const uint8_t kind = source->kind;
  const uint8_t flags = source->flags;
  const uint32_t length_or_ack = source->length_or_ack;
  const uint64_t place = source->place;
  const uint64_t total_and_channel = source->total_and_channel;
  const uint64_t offset_and_piece = source->offset_and_piece;
  const uint64_t offset = offset_and_piece >> 16;
  Arrival arrival;
  FrameHeader& header = arrival.header;
  header.from = {RoleOf(flags, Descriptor::kFromServer), source->from_index};
  header.to = {RoleOf(flags, Descriptor::kToServer), source->to_index};
  header.tag.kind = static_cast<MessageKind>(kind);
  header.tag.round = source->round;
  header.tag.piece = static_cast<uint16_t>(offset_and_piece);
  header.tag.channel = static_cast<uint16_t>(total_and_channel);
  header.tag.bucket = source->bucket;
  header.tag.step = source->step;
  header.tag.note = source->note;
  header.total_bytes = static_cast<int64_t>(total_and_channel >> 16);
  const bool in_exchange = (flags & Descriptor::kInExchange) != 0;
  const bool lent = (flags & Descriptor::kLent) != 0;
  if (kind > static_cast<uint8_t>(MessageKind::kTest)) return Bad("kind", kind);
  if (flags > 15 || (lent && !in_exchange)) return Bad("flags", flags);
  if (in_exchange) {
    arrival.payload_place = lent ? PayloadPlace::kLent : PayloadPlace::kExchange;
    if (header.total_bytes == 0) return Bad("total size", header.total_bytes);
    const uint64_t segment = place >> kPlaceOffsetBits;
    if (segment >= kExchangeSegments) return Bad("segment", segment);
    if (length_or_ack >= kAckSlots) return Bad("slot", length_or_ack);
    header.length = header.total_bytes;
    arrival.segment = static_cast<int32_t>(segment);
    arrival.begin = static_cast<int64_t>(place & ((uint64_t{1} << kPlaceOffsetBits) - 1));
    arrival.ack_slot = length_or_ack;
    return arrival;
  }
  header.length = length_or_ack;
  if (header.length > kPieceBytes || header.length > header.total_bytes ||
      (header.length == 0) != (header.total_bytes == 0)) {
    return Bad("length", header.length);
  }
  if (offset > static_cast<uint64_t>(header.total_bytes - header.length))
    return Bad("offset", offset);
  header.offset = static_cast<int64_t>(offset);
  arrival.begin = static_cast<int64_t>(place % kPoolBytes);
  if (arrival.begin > kPoolBytes - header.length) return Bad("place", place);
  arrival.pool_end = place + (header.length + kCacheLine - 1) / kCacheLine * kCacheLine;
  return arrival;
}

}  // namespace ringmaster
