#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_LAYOUT_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "common/transport/frame.h"

namespace ringmaster {

// What lies in the memory that the processes of one host share. Each process owns a control block:
// a header, and a lane to every process (its own stays unused). A peer maps the header and its own
// lane. Nothing read from it is trusted: whoever reads copies first, then checks.
//
// Memory order. A descriptor is written, then its `sequence` is stored with release; the reader's
// acquiring load of that sequence sees it and all the payload written before. In the other
// direction `taken`, `freed` and an acknowledgement are stored with release after the last read of
// what they give back, and loaded with acquire before it is written again. Sleeping needs more: a
// reader counts itself in `sleepers` and then looks at everything once more, a writer publishes and
// then looks at `sleepers`. Sequentially consistent fences between the two steps on either side
// mean that at least one of them sees the other, so no wake-up is lost; with nobody asleep a writer
// only reads a line it has in its cache. `starved` and `waiters` pair up in the same way.

inline constexpr int64_t kRingSlots = 512;
inline constexpr int64_t kAckSlots = 128;
inline constexpr int64_t kPoolBytes = 1 << 20;
// Largest piece of a message that passes through the pool: a piece stays in the inner caches
// between its two copies.
inline constexpr int64_t kPieceBytes = 64 << 10;
// A message up to this size passes through the pool wherever it lies: copying it is cheaper than an
// acknowledgement.
inline constexpr int64_t kSmallBytes = 4096;
// A lent message up to this size too: there the acknowledgement takes the place of an answer.
inline constexpr int64_t kSmallLoanBytes = 256;
inline constexpr int64_t kCacheLine = 64;
// Headers and lanes are whole pages, because they are mapped one by one.
inline constexpr int64_t kPageBytes = 4096;
// A process's exchange memory grows by segments, each at least a quarter of those before it: so
// many reach beyond any machine's memory.
inline constexpr int32_t kExchangeSegments = 64;

// One message in exchange memory, or one piece of a message in the pool.
struct alignas(kCacheLine) Descriptor {
  static constexpr uint8_t kFromServer = 1, kToServer = 2, kInExchange = 4, kLent = 8;

  std::atomic<uint32_t> sequence;  // position in the lane, plus 1; written last
  uint8_t kind;
  uint8_t flags;
  uint16_t round;
  int32_t from_index;
  int32_t to_index;
  int32_t bucket;
  uint32_t length_or_ack;  // of the piece; of a message in exchange memory, the slot of its
                           // acknowledgement
  int64_t step;
  int64_t note;
  uint64_t total_and_channel;  // bytes of the message, times 2^16, plus the tag's channel
  uint64_t place;  // in the lane's pool, counted from the start of the run; or of exchange memory,
                   // see PlaceOf
  // where in its message the bytes begin, times 2^16, plus the tag's piece
  uint64_t offset_and_piece;
};
static_assert(sizeof(Descriptor) == 64);

// From the control block's owner to one peer.
struct alignas(kPageBytes) Lane {
  Descriptor ring[kRingSlots];
  // The owner's.
  alignas(kCacheLine)
      std::atomic<uint32_t> starved;  // not 0: the owner holds messages back that had no room
  std::atomic<uint32_t> help_asked;   // bits of Help: set by the peer, cleared by the owner
  // The peer's.
  alignas(kCacheLine) std::atomic<uint64_t> taken;  // descriptors
  std::atomic<uint64_t> freed;                      // bytes of the pool
  struct alignas(kCacheLine) Ack {
    std::atomic<uint32_t> sequence;  // of the descriptor whose bytes were read; written last
    std::atomic<uint32_t> returned;  // not 0: and they were lent, and written
  };
  Ack acks[kAckSlots];
  alignas(kCacheLine) std::byte pool[kPoolBytes];
};

// What a process asks of the helper thread of another.
enum Help : uint32_t {
  kHelpSend = 1,  // there is room again for what you held back
  kHelpTakeEarly =
      2,  // I wait for sends that nobody there has posted a receive for: keep them yourself
};

// How peers find one segment of the owner's exchange memory; all zero until there is one. A
// descriptor that lies there is published after it, and it stays as it is.
struct ExchangeEntry {
  int64_t size_bytes;
  uint64_t inode;
  int32_t fd;
  int32_t zero;
};

struct alignas(kPageBytes) ControlHeader {
  uint64_t nonce;
  alignas(kCacheLine)
      std::atomic<uint32_t> bell;  // moves when there is something for a sleeper; a futex
  std::atomic<uint32_t> sleepers;  // threads about to sleep, or asleep, on the bell
  alignas(kCacheLine) std::atomic<uint32_t> waiters;  // threads in a wait, awake or asleep
  alignas(kCacheLine) ExchangeEntry exchange[kExchangeSegments];
};

static_assert(std::atomic<uint32_t>::is_always_lock_free &&
              std::atomic<uint64_t>::is_always_lock_free);

inline int64_t ControlBytes(int64_t processes) {
  return sizeof(ControlHeader) + processes * sizeof(Lane);
}
inline int64_t LaneOffset(int64_t process) { return ControlBytes(process); }

// A place in exchange memory as one number.
inline constexpr int kPlaceOffsetBits = 48;
inline uint64_t PlaceOf(int32_t segment, int64_t offset) {
  return static_cast<uint64_t>(segment) << kPlaceOffsetBits | static_cast<uint64_t>(offset);
}

// Where the bytes of a message lie: in pieces in the lane's pool, or whole in the sender's exchange
// memory, which the receiver may read, or read and write.
enum class PayloadPlace { kPool, kExchange, kLent };

// A descriptor as its reader keeps it, every field in its range.
struct Arrival {
  FrameHeader header;  // a whole message in exchange memory, or a piece
  PayloadPlace payload_place = PayloadPlace::kPool;
  int32_t segment = 0;    // of the exchange memory
  int64_t begin = 0;      // of the bytes, in the pool or in the segment
  uint64_t pool_end = 0;  // the pool is free up to here once the piece is read
  uint32_t ack_slot = 0;
  uint32_t sequence = 0;
};

// The descriptor of `header` (of a whole message but in the pool), all but its sequence.
void WriteDescriptor(const FrameHeader& header, PayloadPlace payload_place, uint64_t place,
                     uint32_t ack_slot, Descriptor* descriptor);

// Copies a descriptor out of shared memory and checks it. InvalidArgument names the first field
// that is out of range. Whether a place in exchange memory exists is PeerExchange's to say.
absl::StatusOr<Arrival> ReadDescriptor(const Descriptor& descriptor);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_LAYOUT_H_
