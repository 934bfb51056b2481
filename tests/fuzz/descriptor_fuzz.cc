// A descriptor in memory that another process writes.

#include <cstring>
#include <memory>

#include "common/base/check.h"
#include "common/transport/shm/layout.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {
namespace {

std::string TextOf(const FrameHeader& header, PayloadPlace payload_place, uint64_t place) {
  const auto descriptor = std::make_unique<Descriptor>();
  std::memset(static_cast<void*>(descriptor.get()), 0, sizeof(Descriptor));
  WriteDescriptor(header, payload_place, place, kAckSlots - 1, descriptor.get());
  return {reinterpret_cast<const char*>(descriptor.get()), sizeof(Descriptor)};
}

}  // namespace

std::vector<std::string> Seeds() {
  FrameHeader header;
  header.from = {Role::kWorker, 1};
  header.to = {Role::kWorker, 0};
  header.tag.kind = MessageKind::kCollective;
  header.total_bytes = header.length = 4096;
  return {TextOf(header, PayloadPlace::kPool, 2 * kPoolBytes + 64),
          TextOf(header, PayloadPlace::kExchange, PlaceOf(1, 8192)),
          TextOf(header, PayloadPlace::kLent, PlaceOf(0, 0))};
}

bool TryInput(absl::string_view input) {
  if (input.size() != sizeof(Descriptor)) return false;
  const auto descriptor = std::make_unique<Descriptor>();
  std::memcpy(static_cast<void*>(descriptor.get()), input.data(), input.size());
  const absl::StatusOr<Arrival> arrival = ReadDescriptor(*descriptor);
  if (!arrival.ok()) return false;
  const FrameHeader& header = arrival->header;
  RM_CHECK(header.offset >= 0 && header.length >= 0);
  RM_CHECK(header.offset <= header.total_bytes - header.length);
  RM_CHECK(arrival->begin >= 0 && arrival->ack_slot < kAckSlots);
  if (arrival->payload_place == PayloadPlace::kPool) {
    RM_CHECK(header.length <= kPieceBytes && arrival->begin + header.length <= kPoolBytes);
  } else {
    RM_CHECK(arrival->segment >= 0 && arrival->segment < kExchangeSegments);
  }
  return true;
}

}  // namespace ringmaster
