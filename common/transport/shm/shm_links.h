#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_SHM_LINKS_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_SHM_LINKS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/fd.h"
#include "common/base/monotonic.h"
#include "common/tensor/tensor.h"
#include "common/transport/fabric_base.h"
#include "common/transport/matcher.h"
#include "common/transport/membership.h"
#include "common/transport/shm/bell.h"
#include "common/transport/shm/exchange_heap.h"
#include "common/transport/shm/layout.h"
#include "common/transport/shm/link.h"
#include "common/transport/shm/meeting.h"
#include "common/transport/shm/segment.h"
#include "common/transport/wire.h"

namespace ringmaster {

// The links of a process to those others that it shares memory with: its control block, its
// exchange memory, what it maps of its peers', and the wait of its threads, who carry the bytes.
// Besides there is one helper thread, which notices a peer's end and steps in where nobody waits.
class ShmLinks {
 public:
  // What it needs of its fabric; outlives this object.
  struct Home {
    // The matcher of a node here that a node of a process sends to: FabricBase::Recipient.
    std::function<absl::StatusOr<Matcher*>(int32_t process, NodeId from, NodeId to)> recipient;
    // A link has failed, or its peer has ended. Any thread.
    std::function<void(int32_t process, const absl::Status& why)> ended;
    // Moves, without waiting, what comes another way; whether there was any. Waiting threads call
    // it before they sleep. Whoever moves such things at other times rings afterwards. Null:
    // nothing comes another way.
    std::function<bool()> look_elsewhere;
  };

  // `spins`: waits look for a while before they sleep.
  ShmLinks(bool spins, Home home) : spins_(spins), home_(std::move(home)) {}
  ~ShmLinks();
  ShmLinks(const ShmLinks&) = delete;
  ShmLinks& operator=(const ShmLinks&) = delete;

  // Begins with the wires of a finished handshake, by process, none to those that are not reached;
  // they all call this next and have proved that they share memory. Once, before anything below.
  // Blocks at most until `deadline`. Errors as ShareMemory's (meeting.h), and Unavailable: the
  // system has no memory or descriptor left.
  absl::Status Open(std::vector<Wire> wires, const Membership& membership, MonotonicTime deadline);

  // Ends the helper. Nobody waits any more. To be called before what Home calls goes. No effect
  // before Open.
  void Close();

  bool Reaches(int32_t process) const { return links_[process] != nullptr; }

  // Link's, of a process that is reached. Any thread.
  void Send(int32_t process, const OutgoingMessage& message) {
    Check(process, links_[process]->Send(message));
  }
  void OnPost(int32_t process, NodeId from, NodeId to, const Tag& tag) {
    Check(process, links_[process]->OnPost(from, to, tag));
  }
  void Return(int32_t process, const Loan& loan) { links_[process]->Return(loan); }

  // Ends all sends, those under way and later ones. Any thread.
  void DropSends();
  // The same of those to a process that is reached. Its memory stays mapped: what it has lent is
  // read until it is returned.
  void Forget(int32_t process) { links_[process]->DropSends(); }

  // Wakes the threads that sleep in Wait: operations may be over. Any thread.
  void Ring() { RingBell(own()); }

  // As Transport::WaitAny; `ops` are `matcher`'s.
  absl::StatusOr<int> Wait(Matcher& matcher, absl::Span<const OpId> ops, MonotonicTime deadline);

  // As Fabric::AllocateExchange.
  absl::StatusOr<Buffer> AllocateExchange(int64_t size_bytes);

 private:
  ControlHeader* own() const { return reinterpret_cast<ControlHeader*>(control_.data()); }
  absl::Status CreateMemory(int64_t processes);
  std::unique_ptr<Link> MakeLink(int32_t process);
  bool Advance();
  absl::StatusOr<int> Carry(Matcher& matcher, absl::Span<const OpId> ops, MonotonicTime deadline);
  absl::Duration SleepLimit(Matcher& matcher, absl::Span<const OpId> ops, MonotonicTime now,
                            MonotonicTime deadline, MonotonicTime* ask_at);
  void StartHelper();
  void RunHelper();
  // A link that failed ends the run for this process.
  void Check(int32_t process, const absl::Status& status) {
    if (!status.ok()) home_.ended(process, status);
  }

  const bool spins_;
  const Home home_;
  // Constant after Open, by process.
  std::vector<Wire> wires_;  // in clear
  Segment control_;
  std::shared_ptr<ExchangeHeap> exchange_;  // its buffers may outlive the fabric
  std::vector<PeerMemory> memories_;
  std::vector<std::unique_ptr<Link>> links_;
  Fd wake_;
  std::atomic<bool> stopping_{false};
  std::thread helper_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_SHM_LINKS_H_
