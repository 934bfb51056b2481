#ifndef RINGMASTER_COMMON_TRACE_EVENT_RING_H_
#define RINGMASTER_COMMON_TRACE_EVENT_RING_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "common/base/message.h"
#include "common/trace/phase.h"

namespace ringmaster {

// One end of a message. `kind`: a string literal; null: the tag's.
struct MessageEnd {
  NodeId peer;
  Tag tag;
  int64_t step = 0;  // of the training, where the tag counts something else
  int64_t payload_bytes = 0;
  const char* kind = nullptr;
};

// A stretch of a thread's time. `name`: a string literal.
struct SpanEvent {
  const char* name = nullptr;
  int64_t step = 0;
  int32_t bucket = -1;
  Clock::time_point begin;
  Clock::time_point end;
};

// A message that was sent or received.
struct MessageEvent {
  MessageEnd end;
  Clock::time_point time;
};

// What a ring holds of one event.
struct KeptEvent {
  enum class Kind : uint8_t { kSpan, kSent, kReceived };
  Kind kind = Kind::kSpan;
  int64_t number = 0;    // of the ring's events, from 1 on
  SpanEvent span;        // kSpan
  MessageEvent message;  // kSent, kReceived; of the tag all but step and note

  // When it was over.
  Clock::time_point time() const { return kind == Kind::kSpan ? span.end : message.time; }
};

// The last `capacity` events of one thread, in memory that is taken at construction. Adding an
// event writes one cache line and takes neither lock nor clock. One thread at a time adds; any
// thread reads, also meanwhile: an event that is being overwritten is then left out.
class EventRing {
 public:
  // REQUIRES: capacity > 0.
  explicit EventRing(int64_t capacity) : slots_(capacity) {}

  void AddSpan(const SpanEvent& span) {
    Write(span.name, span.step, Ticks(span.begin), Ticks(span.end), Pair(span.bucket, 0),
          Bits(KeptEvent::Kind::kSpan, MessageEnd()));
  }

  // `kind`: kSent or kReceived.
  void AddMessage(KeptEvent::Kind kind, const MessageEnd& end, Clock::time_point time) {
    Write(end.kind, end.step, Ticks(time), static_cast<uint64_t>(end.payload_bytes),
          Pair(end.tag.bucket, end.peer.index), Bits(kind, end));
  }

  // The events that are still there, in the order in which they were added. Any thread.
  std::vector<KeptEvent> Read() const;

 private:
  static constexpr int kWords = 6;
  // `number` is 0 while the words are written, so that a reader which sees the same number before
  // and after it has read them has read one event. Every access is atomic; on x86 all are plain
  // moves.
  struct alignas(64) Slot {
    std::atomic<uint64_t> number{0};
    std::atomic<uint64_t> words[kWords] = {};
  };

  static uint64_t Ticks(Clock::time_point time) {
    return static_cast<uint64_t>(time.time_since_epoch().count());
  }
  static uint64_t Pair(int32_t low, int32_t high) {
    return static_cast<uint32_t>(low) | static_cast<uint64_t>(static_cast<uint32_t>(high)) << 32;
  }
  static uint64_t Bits(KeptEvent::Kind kind, const MessageEnd& end) {
    return end.tag.round | static_cast<uint64_t>(end.tag.piece) << 16 |
           static_cast<uint64_t>(end.tag.channel) << 32 |
           static_cast<uint64_t>(end.tag.kind) << 48 | static_cast<uint64_t>(end.peer.role) << 56 |
           static_cast<uint64_t>(kind) << 60;
  }

  void Write(const char* name, int64_t step, uint64_t begin, uint64_t end, uint64_t pair,
             uint64_t bits) {
    Slot& slot = slots_[next_];
    next_ = next_ + 1 == slots_.size() ? 0 : next_ + 1;
    slot.number.store(0, std::memory_order_relaxed);
    // Release: who sees a word of this event sees that the number is no longer the last one's.
    slot.words[0].store(reinterpret_cast<uint64_t>(name), std::memory_order_release);
    slot.words[1].store(static_cast<uint64_t>(step), std::memory_order_release);
    slot.words[2].store(begin, std::memory_order_release);
    slot.words[3].store(end, std::memory_order_release);
    slot.words[4].store(pair, std::memory_order_release);
    slot.words[5].store(bits, std::memory_order_release);
    slot.number.store(++count_, std::memory_order_release);
  }

  std::vector<Slot> slots_;
  // The adding thread's.
  size_t next_ = 0;
  uint64_t count_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_EVENT_RING_H_
