#ifndef RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_H_
#define RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/network/network_shape.h"

namespace ringmaster {

// Of a clock that all who look at a network share.
using Nanoseconds = int64_t;
inline constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

// The rates and delays of a network between processes.
struct NetworkPlan {
  struct Delay {
    double rate = kUnlimitedRate;  // bytes a nanosecond
    Nanoseconds latency = 0;
    Nanoseconds jitter = 0;
  };
  std::vector<double> egress;  // by process, bytes a nanosecond
  std::vector<double> ingress;
  std::vector<Delay> links;     // by sender * processes + receiver
  std::vector<int32_t> racks;   // by process; empty: there are none
  std::vector<double> uplinks;  // by rack, each way, bytes a nanosecond
  uint64_t seed = 1;

  int32_t processes() const { return static_cast<int32_t>(egress.size()); }
  const Delay& link(int32_t from, int32_t to) const {
    return links[int64_t{from} * processes() + to];
  }
};

// What `shape` means for processes in which these nodes live; where there are racks, a process is
// in that of its first worker. InvalidArgument: it names a node that lives nowhere.
absl::StatusOr<NetworkPlan> PlanNetwork(const NetworkShape& shape,
                                        const std::vector<std::vector<NodeId>>& processes);

// A network of cards, computed as a fluid: the messages from one process to another form a flow,
// one behind the other as on a connection, and all flows share the cards they cross max-min fairly
// (no flow could be faster without a slower one losing), as many TCP connections do. Flows between
// racks share the uplinks of both, too. A message has left when its last byte is through its
// sender's card, its receiver's, the uplinks and the link, which it crosses at one speed; it
// arrives its latency and jitter later, not before the one before it. So a lone message takes bytes
// / rate + latency, and N at once to one receiver take N times as long, whoever sends them.
//
// The state lies in memory that processes share, which is all zero in the beginning; this object is
// a process's view of it. Pure otherwise: no clock, no threads, no locks; one caller at a time
// among all views. Source of the model: max-min fairness, Bertsekas and Gallager, Data Networks,
// section 6.5.2; as in SimGrid.
class FlowNetwork {
 public:
  struct Message {
    uint64_t key = 0;  // of the run's messages, by MessageKey
    NodeId from;
    NodeId to;
    int64_t bytes = 0;
  };
  struct Notice {
    Message message;
    Nanoseconds time = 0;
    bool has_left = false;  // else it arrives at `time`, which may be yet to come
  };

  // Messages under way, and notices not yet taken, unless a view is told otherwise.
  static constexpr int32_t kSlots = 1 << 16;

  // Bytes of state for `processes` processes.
  static int64_t StateBytes(int32_t processes, int32_t slots = kSlots);

  // `state`: StateBytes of it, aligned to 64 bytes, all zero or another view's; `slots` and
  // `grains` are all views' own. `grains`: a message may leave late by up to 1 / grains of the time
  // that it takes, so that many leave at one moment and there is less to do; 0: it leaves to the
  // nanosecond.
  FlowNetwork(const NetworkPlan& plan, absl::Span<std::byte> state, int32_t slots = kSlots,
              int32_t grains = 0);

  // A message enters at `now`, or, where the network has been advanced beyond, then.
  // ResourceExhausted: too many are under way.
  absl::Status Start(int32_t from, int32_t to, const Message& message, Nanoseconds now);

  // As Start, at the moment to which the network has been advanced; but the message's own leaving,
  // and what it takes from others, is worked out by the next Advance alone. For one caller's many
  // messages of one moment.
  absl::Status Enter(int32_t from, int32_t to, const Message& message);

  // Lets time pass. A time that is over already changes nothing.
  void Advance(Nanoseconds now);

  // When the next message will have left, if nothing enters before; kNever when nothing is under
  // way.
  Nanoseconds NextLeaves();

  // The outcomes of messages from and to this process since the last call, in the order in which
  // they left.
  void TakeNotices(int32_t process, absl::FunctionRef<void(const Notice&)> take);

  // A process's intention not to look before `until`, which it has taken from NextNotice.
  void SleepUntil(int32_t process, Nanoseconds until);

  // When this process will have a notice to take whose time has come, if nothing enters before;
  // kNever when nothing is under way from or to it. Never later than it turns out.
  Nanoseconds NextNotice(int32_t process);

  // Names those who mean to sleep beyond their next notice, which something that happened since has
  // brought forward. They are taken to be about to look, and are not named again before the next
  // SleepUntil.
  void TakeOversleepers(absl::FunctionRef<void(int32_t process)> take);

 private:
  struct Slot;
  struct Flow;
  struct Card;
  struct Header;

  void LetPass(Nanoseconds until);
  void FinishHead(int64_t flow_index);
  void ShareCards();
  Nanoseconds HeadLeaves(const Flow& flow) const;
  void PlanHead(Flow* flow) const;
  void PutNotice(int32_t process, int32_t slot, bool has_left);
  void FindNextNotices();
  void ListFlowsOfCards();
  bool ListFlowsOfFullCards(double share_max);
  // The card or uplink of this kind that the flow crosses; below 0: none.
  int32_t SharedBy(size_t kind, const Flow& flow) const;
  double JitterShare(uint64_t key) const;

  const NetworkPlan plan_;
  const int32_t slot_count_;
  const int32_t grains_;
  const bool has_link_rates_;
  Header* header_;
  Card* cards_;      // [processes]
  Flow* flows_;      // [processes^2]
  int32_t* active_;  // [processes^2]: indices of flows with messages; the first
                     // header_->active_count count
  Slot* slots_;      // [slot_count_ + 1]: 0 is none
  // What flows share of one kind, while rates are shared out. Flows of place i of it are
  // places[end[i - 1], end[i]), of the first places[0, end[0]).
  struct Shared {
    std::vector<double> capacity;
    std::vector<double> left;
    std::vector<int32_t> flows;   // that are not fixed yet
    std::vector<int32_t> places;  // in active_
    std::vector<int32_t> end;
  };
  enum : size_t { kEgress, kIngress, kUplink, kDownlink };
  // Scratch, and NextNotices' answer.
  std::vector<Shared> shared_;  // by kind; without racks the cards' two
  std::vector<int32_t> candidates_;
  std::vector<Nanoseconds> next_notices_;
};

// Names a message in a run, the same in every process.
uint64_t MessageKey(NodeId from, NodeId to, const Tag& tag);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_H_
