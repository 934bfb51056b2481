#ifndef RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_H_
#define RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/network/network_plan.h"

namespace ringmaster {

// A network of cards, computed as a fluid: the messages from one process to another form a flow,
// one behind the other as on a connection, and all flows share the cards they cross max-min fairly
// (no flow could be faster without a slower one losing), as many TCP connections do. Flows between
// racks share the uplinks of both, too. A message has left when its last byte is through its
// sender's card, its receiver's, the uplinks and the link, which it crosses at one speed; it
// arrives its latency and jitter later, not before the one before it. So a lone message takes bytes
// / rate + latency, and N at once to one receiver take N times as long, whoever sends them.
//
// The work of a message follows the messages that share a card with it, directly or through others.
// Where every card either holds up all flows that cross it or none, as servers' do and workers', it
// does not even follow these: the flows that a card holds up all go at one rate, and the card alone
// notes how far they are.
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

  // Bytes of state. Grows with processes and slots, not with pairs of processes.
  static int64_t StateBytes(const NetworkPlan& plan, int32_t slots = kSlots);

  // `state`: StateBytes of it, aligned to 64 bytes, all zero or another view's; `slots` is all
  // views' own.
  FlowNetwork(const NetworkPlan& plan, absl::Span<std::byte> state, int32_t slots = kSlots);

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

  // The same of every process, one after the other.
  void TakeAllNotices(absl::FunctionRef<void(const Notice&)> take);

  // A process's intention not to look before `until`, which it has taken from NextNotice.
  void SleepUntil(int32_t process, Nanoseconds until);

  // When this process will have a notice to take whose time has come, if nothing enters before;
  // kNever when nothing is under way from or to it. Never later than it turns out.
  Nanoseconds NextNotice(int32_t process);

  // Names those who mean to sleep beyond their next notice, which something that happened since has
  // brought forward. They are taken to be about to look, and are not named again before the next
  // SleepUntil.
  void TakeOversleepers(absl::FunctionRef<void(int32_t process)> take);

  // Flows that this view has looked at to share out rates: what its work follows.
  int64_t visits() const { return visits_; }

 private:
  // Kinds of what flows share, all of them cards here: the processes' own, the uplinks of racks,
  // and links with a rate of their own. Cards of a kind lie together, in this order.
  enum Kind : int32_t { kEgress, kIngress, kUplink, kDownlink, kLink, kKinds };
  struct Slot;
  struct Flow;
  struct Card;
  struct Process;
  struct Header;
  struct Sizes;
  using CardsOfFlow = std::array<int32_t, kKinds>;  // by kind; below 0: none

  static Sizes SizesOf(const NetworkPlan& plan, int32_t slots);
  int32_t KindOf(int32_t card) const;
  CardsOfFlow CardsOf(const Flow& line) const;

  // Flows by pair.
  int32_t* BucketOf(int32_t from, int32_t to);
  int32_t FindFlow(int32_t from, int32_t to);
  int32_t AddFlow(int32_t from, int32_t to);  // 0: there are too many
  void RemoveFlow(int32_t flow);
  void Linger(int32_t flow);
  void EndLingering(int32_t flow);

  // Flows of a card.
  void JoinCards(int32_t flow);
  void LeaveCards(int32_t flow);
  void Changed(int32_t card, int32_t how);

  // Of these, the flows that it holds up.
  int32_t Meld(int32_t a, int32_t b);
  int32_t MeldSiblings(int32_t first);
  void Hold(int32_t card, int32_t flow);
  void LetGo(int32_t flow);

  // Cards that hold flows up.
  bool IsSooner(int32_t a, int32_t b) const;
  void PutCard(int32_t card, int32_t place);
  void SiftCard(int32_t card);
  void Settle(int32_t card);
  void PlanCard(int32_t card);

  Nanoseconds HeadLeaves(const Flow& line) const;
  void FinishDue();
  void FinishHead(int32_t flow);
  void PutNotice(int32_t process, int32_t slot, bool has_left);
  double JitterShare(uint64_t key) const;

  void Share();
  bool ShareEvenly();
  bool AssignRoles();
  bool RolesHold();
  void ShareByFilling();
  void ReachCards();
  void FillCard(int32_t card, double level);
  void JudgeFlows();
  void NoteCrowd(int32_t card);
  // Whether flows share no more than the processes' own cards.
  bool OnlyOwnCards() const { return static_cast<int32_t>(capacity_.size()) == 2 * processes_; }
  // The inverse of a flow's even share of a card; 0: nothing crosses it.
  double CrowdOf(int32_t card) const;

  const NetworkPlan plan_;
  const int32_t processes_;
  const int32_t slot_count_;
  // Constant after construction.
  std::vector<double> capacity_;                               // by card
  std::map<std::pair<int32_t, int32_t>, int32_t> link_cards_;  // from 1
  int32_t flow_count_ = 0;
  uint32_t bucket_mask_ = 0;
  int32_t tree_ = 0;

  // The state.
  Header* header_ = nullptr;
  Process* process_ = nullptr;    // [processes]
  Card* cards_ = nullptr;         // [cards]
  int32_t* card_heap_ = nullptr;  // [cards]: those that hold flows up, the first to let go on top
  int32_t* dirty_ = nullptr;      // [cards]: those whose flows have changed since rates were shared
  int32_t* noticed_ = nullptr;    // [processes]: those with notices
  double* crowds_ = nullptr;      // [2][2 * tree_]: by kind, a tree of the most crowded open card
  int32_t* buckets_ = nullptr;    // [bucket_mask_ + 1]
  Flow* flows_ = nullptr;         // [flow_count_ + 1]
  Slot* slots_ = nullptr;         // [slot_count_ + 1]

  // Scratch.
  struct Turn {
    double share = 0;  // of a flow without a rate, when it was put there; it only grows
    int32_t card = 0;
  };
  struct IsLater {
    bool operator()(const Turn& a, const Turn& b) const {
      return a.share != b.share ? a.share > b.share : a.card > b.card;
    }
  };
  std::vector<double> left_;      // by card: of its capacity
  std::vector<int32_t> open_;     // by card: flows without a rate; below 0: it is not reached
  std::vector<int8_t> role_;      // by card: of dirty ones, a CardRole
  std::vector<int32_t> reached_;  // cards
  std::vector<int32_t> touched_;  // flows
  std::vector<Turn> turns_;       // a heap
  std::vector<int32_t> due_;      // flows
  int64_t visits_ = 0;
};

// Names a message in a run, the same in every process.
uint64_t MessageKey(NodeId from, NodeId to, const Tag& tag);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_H_
