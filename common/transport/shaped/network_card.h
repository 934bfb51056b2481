#ifndef RINGMASTER_COMMON_TRANSPORT_SHAPED_NETWORK_CARD_H_
#define RINGMASTER_COMMON_TRANSPORT_SHAPED_NETWORK_CARD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/network/flow_network.h"
#include "common/transport/shm/segment.h"

namespace ringmaster {

// A process's card in the network that the processes of a host share: starts its messages, and
// reports, on time, the outcome of those from and to it. The network's state lies in a segment
// that all map; whoever looks at it lets its time pass, and rings for those who now have to look
// sooner than they thought. One thread waits for the next event; it is on time within some tens of
// microseconds where a core is free.
class NetworkCard {
 public:
  // What comes of messages; called by the card's thread, in the order of their times.
  using Listener = std::function<void(const FlowNetwork::Notice&)>;

  // Bytes that a segment for the network needs.
  static int64_t SegmentBytes(const NetworkPlan& plan);

  // Makes a segment that is all zero the network's; once, before any card uses it.
  static void Initialize(const Segment& segment);

  // `plan` is the same in all processes; `self` is this one's index in it. The thread starts.
  NetworkCard(const NetworkPlan& plan, int32_t self, Segment segment, Listener listener);
  // The thread has ended; nothing is told any more.
  ~NetworkCard();
  NetworkCard(const NetworkCard&) = delete;
  NetworkCard& operator=(const NetworkCard&) = delete;

  // A message has been entering since `now`. ResourceExhausted: too many are under way. Any thread;
  // never waits.
  absl::Status Start(int32_t to, const FlowNetwork::Message& message, Nanoseconds now);

 private:
  struct Shared;
  class Lock;

  std::atomic<uint32_t>& bell(int32_t process) const;
  void Ring(absl::Span<const int32_t> processes);
  void Run();
  // What came of messages goes to `due_`, in order of time. Returns when to look next, unless the
  // bell rings, of which `heard` is the last stroke.
  Nanoseconds Look(uint32_t* heard);

  const int32_t processes_;
  const int32_t self_;
  const Segment segment_;
  const Listener listener_;
  Shared* const shared_;
  FlowNetwork network_;  // under the lock of `shared_`

  struct Later {
    bool operator()(const FlowNetwork::Notice& a, const FlowNetwork::Notice& b) const {
      return a.time > b.time;
    }
  };
  // the thread's
  std::priority_queue<FlowNetwork::Notice, std::vector<FlowNetwork::Notice>, Later> due_;
  std::vector<int32_t> oversleepers_;  // the thread's
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHAPED_NETWORK_CARD_H_
