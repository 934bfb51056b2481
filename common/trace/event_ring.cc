#include "common/trace/event_ring.h"

#include <algorithm>

namespace ringmaster {
namespace {

Clock::time_point TimeOf(uint64_t ticks) {
  return Clock::time_point(Clock::duration(static_cast<int64_t>(ticks)));
}

KeptEvent Unpack(uint64_t number, const uint64_t (&words)[6]) {
  const auto* name = reinterpret_cast<const char*>(words[0]);
  const auto step = static_cast<int64_t>(words[1]);
  const auto bucket = static_cast<int32_t>(words[4]);
  KeptEvent event;
  event.kind = static_cast<KeptEvent::Kind>(words[5] >> 60);
  event.number = static_cast<int64_t>(number);
  if (event.kind == KeptEvent::Kind::kSpan) {
    event.span = {name, step, bucket, TimeOf(words[2]), TimeOf(words[3])};
    return event;
  }
  MessageEnd& end = event.message.end;
  end.kind = name;
  end.step = step;
  end.payload_bytes = static_cast<int64_t>(words[3]);
  end.peer = {static_cast<Role>(words[5] >> 56 & 0xf), static_cast<int32_t>(words[4] >> 32)};
  end.tag.bucket = bucket;
  end.tag.round = static_cast<uint16_t>(words[5]);
  end.tag.piece = static_cast<uint16_t>(words[5] >> 16);
  end.tag.channel = static_cast<uint16_t>(words[5] >> 32);
  end.tag.kind = static_cast<MessageKind>(words[5] >> 48 & 0xff);
  event.message.time = TimeOf(words[2]);
  return event;
}

}  // namespace

std::vector<KeptEvent> EventRing::Read() const {
  std::vector<KeptEvent> events;
  events.reserve(slots_.size());
  for (const Slot& slot : slots_) {
    const uint64_t number = slot.number.load(std::memory_order_acquire);
    if (number == 0) continue;
    uint64_t words[kWords];
    // Acquire: what was written before a word is seen by the second look at the number.
    for (int i = 0; i < kWords; ++i) words[i] = slot.words[i].load(std::memory_order_acquire);
    if (slot.number.load(std::memory_order_relaxed) != number) continue;
    events.push_back(Unpack(number, words));
  }
  std::sort(events.begin(), events.end(),
            [](const KeptEvent& a, const KeptEvent& b) { return a.number < b.number; });
  return events;
}

}  // namespace ringmaster
