#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_LINK_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_LINK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/transport/fabric_base.h"
#include "common/transport/matcher.h"
#include "common/transport/shm/exchange_heap.h"
#include "common/transport/shm/layout.h"
#include "common/transport/shm/peer_exchange.h"

namespace ringmaster {

// Messages to and from one other process through shared memory. A message in exchange memory is
// only described: the receiver copies or adds it straight from there and acknowledges. Any other
// (and every small one) passes through the lane's pool, in pieces. What is lent is handed to a
// receive that takes loans, and acknowledged when it is returned; so is any message in exchange
// memory to a receive that reads it there. Pieces always find room in the end, because the receiver
// takes them at once, early ones into memory of its own; early messages in exchange memory stay
// where they are until their receive is posted.
//
// There is no thread behind it: whoever waits calls Advance. Any thread, any method. Errors mean
// that the peer writes what no process of ours does, or that a limit is reached: they end the run.
class Link {
 public:
  // What two processes see of each other. All of it outlives the link.
  struct Ends {
    ControlHeader* own = nullptr;
    Lane* out = nullptr;  // in this process's control block
    ControlHeader* peer = nullptr;
    Lane* in = nullptr;  // in the peer's
    const ExchangeHeap* exchange = nullptr;
    int32_t peer_pid = 0;  // whose exchange memory is mapped as it comes
    int socket = -1;       // a byte on it calls the peer's helper
  };
  // The matcher of a node here that a node of the peer sends to.
  using Recipient = std::function<absl::StatusOr<Matcher*>(NodeId from, NodeId to)>;

  Link(const Ends& ends, Recipient recipient);

  // Publishes the message, or as much of it as finds room, and keeps the rest for Advance. Never
  // waits.
  absl::Status Send(const OutgoingMessage& message);

  // Takes one arrival, takes acknowledgements, and sends more of what is held back; true when any
  // of it was done.
  absl::StatusOr<bool> Advance();

  // Sends more of what is held back: for a thread that stops calling Advance, after it stopped
  // counting as waiter.
  absl::Status Flush();

  // A receive was posted: brings its message, if it is in the peer's exchange memory and came
  // before.
  absl::Status OnPost(NodeId from, NodeId to, const Tag& tag);

  // Gives back what the peer has lent.
  void Return(const Loan& loan);

  // Does what the peer asked of the helper.
  absl::Status Help();

  // Asks the peer's helper to take what this process waits to have taken, if there is such.
  void AskToTake();

  // Ends the sends that are under way, and later ones at once, whether or not the peer has taken
  // them.
  void DropSends();

 private:
  struct Sending {
    OutgoingMessage message;
    int64_t handed_bytes = 0;
  };
  // A message in exchange memory that the peer has not read yet.
  struct Unread {
    uint32_t slot = 0;
    uint32_t sequence = 0;
    Matcher* sender = nullptr;
    OpId op = 0;
  };
  using Key = std::pair<std::pair<NodeId, NodeId>, Tag>;
  // A whole message in the peer's exchange memory.
  struct Whole {
    Arrival arrival;
    absl::Span<std::byte> bytes;
  };
  // One on its way from there.
  struct Claimed {
    Matcher* matcher = nullptr;
    Matcher::Operation* message = nullptr;
    Whole whole;
  };

  absl::StatusOr<bool> HandOver(Sending* sending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(send_mutex_);
  absl::StatusOr<bool> HasSlot() ABSL_EXCLUSIVE_LOCKS_REQUIRED(send_mutex_);
  // The place of `length` bytes in the pool; -1: there is no room.
  absl::StatusOr<int64_t> FindPoolPlace(int64_t length) ABSL_EXCLUSIVE_LOCKS_REQUIRED(send_mutex_);
  uint32_t Publish(const FrameHeader& header, PayloadPlace payload_place, uint64_t place,
                   uint32_t slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(send_mutex_);
  absl::StatusOr<bool> FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(send_mutex_);
  absl::StatusOr<bool> Receive();
  absl::Status TakePiece(const Arrival& arrival, Matcher& matcher)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(receive_mutex_);
  absl::StatusOr<bool> TryClaim(const Whole& whole, Claimed* claimed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(receive_mutex_);
  void Bring(const Claimed& claimed);
  void Acknowledge(uint32_t slot, uint32_t sequence, bool returned);
  absl::Status TakeEarly();
  bool TakeAcks();
  bool HasArrival() const;
  void GiveCredit();
  void AskHelp(uint32_t what);

  const Ends ends_;
  const Recipient recipient_;

  absl::Mutex send_mutex_;
  bool dropping_ ABSL_GUARDED_BY(send_mutex_) = false;
  std::vector<Sending> queue_ ABSL_GUARDED_BY(send_mutex_);  // held back, from head_ on
  size_t head_ ABSL_GUARDED_BY(send_mutex_) = 0;
  uint64_t published_ ABSL_GUARDED_BY(send_mutex_) = 0;  // descriptors
  uint64_t taken_seen_ ABSL_GUARDED_BY(send_mutex_) = 0;
  uint64_t pool_used_ ABSL_GUARDED_BY(send_mutex_) = 0;  // bytes ever used
  uint64_t freed_seen_ ABSL_GUARDED_BY(send_mutex_) = 0;
  std::vector<Unread> unread_ ABSL_GUARDED_BY(send_mutex_);
  std::vector<uint32_t> free_slots_ ABSL_GUARDED_BY(send_mutex_);
  std::atomic<bool> holds_back_{false};  // queue_ is not empty
  std::atomic<int32_t> unread_count_{0};

  absl::Mutex receive_mutex_;
  std::atomic<uint64_t> taken_{0};  // written under the mutex
  std::atomic<int64_t> uncredited_bytes_{0};
  absl::flat_hash_map<Key, Whole> early_ ABSL_GUARDED_BY(receive_mutex_);
  PeerExchange peer_exchange_ ABSL_GUARDED_BY(receive_mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_LINK_H_
