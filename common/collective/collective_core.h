#ifndef RINGMASTER_COMMON_COLLECTIVE_COLLECTIVE_CORE_H_
#define RINGMASTER_COMMON_COLLECTIVE_COLLECTIVE_CORE_H_

#include <cstdint>
#include <vector>

#include "common/collective/plan.h"

namespace ringmaster {

// One operation of a collective in flight. `flight` is the collective's place, which the next one
// takes over.
struct OpRef {
  int32_t flight = 0;
  int32_t op = 0;  // of its plan
};

// What a shell has to do about an operation. All but kReceive and kSend is done at once; nothing
// answers it.
struct CollectiveAction {
  enum class Kind : uint8_t {
    kReceive,  // expect the operation's message; one with an answer may be lent
    kSend,     // send the operation's message; one with an answer may be lent to the peer
    kAdd,      // add what `from_receive` has brought, in scratch or lent, to the operation's target
    kAddLent,  // the operation's message is lent: add it to the operation's target
    kAddBoth,  // as kAddLent, and leave the sum in the lent memory too
    kAnswer,   // copy what the operation, an answer, would send into the memory that its question
               // lent
    kReturn,   // give back the memory that the question of the operation lent: it holds the answer
    kFinished,  // the flight has ended; `op` says nothing
  };
  Kind kind = Kind::kReceive;
  OpRef op;
};

// What a collective works on.
struct PlanView {
  const Plan* plan =
      nullptr;        // stays as it is until the actions that finish the collective are done
  int64_t bytes = 0;  // of the data; of a gather, of the rank's own message
};

struct CollectiveLimits {
  int32_t in_flight_max = 8;      // collectives started and not finished
  int64_t ahead_bytes = 2 << 20;  // sends begun and not yet out, to each peer
};

// One rank's side of any number of collectives at once, as decisions: events come in, and what is
// to be done about them is appended to `actions`. No threads, no clock, no data: the shell that
// drives it may be on a transport (CollectiveExecutor) or in simulated time. It does the actions in
// their order, and all of them before the next event.
//
// A receive and a send begin as soon as the data they touch allow it; of the sends that could go,
// the oldest collective's go first, and of those the latest round's, so that a sum is sent on while
// it is still in the cache. Where ranks share memory, a message with an answer (see PlanOp) may be
// lent in place of being sent: the peer writes the answer there, and neither side has a message for
// it.
//
// Memory in flight is bounded, for the peers' sake too: what all who send to one rank may send
// ahead while it is late stays below kAheadBytesMax, or one collective's bytes if that is more.
// Nothing is allocated once plans of each size have been in flight as often as they will be.
class CollectiveCore {
 public:
  static constexpr int64_t kAheadBytesMax = 128 << 20;

  // Names a collective, from 1, ascending: the older one has the smaller ticket.
  using Ticket = int64_t;

  struct Started {
    Ticket ticket = 0;
    int32_t flight = 0;  // less than in_flight_max
  };

  // REQUIRES: 1 or more ranks, limits of 1 or more.
  CollectiveCore(int32_t ranks, const CollectiveLimits& limits);

  // Whether `plan` may start: there is a free flight, and its bytes fit in beside those in flight.
  // With none in flight any may.
  bool HasRoom(const PlanView& plan) const;

  // Starts a collective. Of the free flights it takes the one whose scratch has been the largest so
  // far, so a shell that keeps scratch by flight grows it seldom. Peers and rounds are the plan's.
  // REQUIRES: HasRoom(plan).
  Started Start(const PlanView& plan, std::vector<CollectiveAction>* actions);

  // The message of `op` is through: a send has left, or a receive has landed. `in_place`, of a
  // message with an answer: of a receive, that it was lent; of a send, that it was lent and has
  // been returned with the answer in it. REQUIRES: the operation was begun, and was not done
  // before.
  void MessageDone(OpRef op, bool in_place, std::vector<CollectiveAction>* actions);

  // Forgets all collectives in flight, half way as they are.
  void Reset();

  bool InFlight(Ticket ticket) const;
  int32_t in_flight() const { return in_flight_; }

  // Of the collective in `op.flight`, or of the last one that was there until the next starts.
  const PlanOp& OpOf(OpRef op) const { return flights_[op.flight].view.plan->ops[op.op]; }
  Ticket TicketOf(OpRef op) const { return flights_[op.flight].ticket; }
  // Bytes of the message that a send sends.
  int64_t SendBytes(OpRef op) const;

 private:
  using Actions = std::vector<CollectiveAction>;
  // What became of an operation that has an answer.
  enum class Question : uint8_t { kMessage, kLent, kAnswered };

  // A collective, or a free place for one; its memory stays for the next.
  struct Flight {
    Ticket ticket = 0;
    bool busy = false;
    PlanView view;
    int64_t scratch_bytes_max = 0;  // of all that were here
    // of each operation, what is not done yet; -1: it is done itself
    std::vector<int32_t> waits_for;
    std::vector<Question> questions;  // of each operation
    int32_t left = 0;                 // operations not done
  };
  // A send that waits for its turn at its peer.
  struct WaitingSend {
    Ticket ticket = 0;
    int32_t round = 0;
    OpRef op;
  };
  // Whether `b` goes first: the oldest collective, then the latest round, then the first piece.
  static bool Behind(const WaitingSend& a, const WaitingSend& b);
  struct Peer {
    int64_t ahead_bytes = 0;
    std::vector<WaitingSend> waiting;  // a heap
  };

  // What all who send to one rank in this collective may send it ahead.
  static int64_t AheadBytes(const PlanView& plan) {
    return (plan.bytes + plan.plan->scratch_bytes) * plan.plan->senders_max;
  }
  // Starts what is ready_, and what becomes so meanwhile.
  void RunReady(Actions* actions);
  void StartOp(OpRef ref, Actions* actions);
  // Whether the operation, an answer, is no message since its question's memory was lent; then it
  // has been given.
  bool AnswerInPlace(OpRef ref, Actions* actions);
  // The message of `ref`, a receive, has arrived as a loan.
  void TakeLoan(OpRef ref, Actions* actions);
  void SendMore(Peer* peer, Actions* actions);
  void Done(OpRef ref, Actions* actions);
  void Land(int32_t flight, Actions* actions);

  const CollectiveLimits limits_;
  std::vector<Flight> flights_;  // [in_flight_max]
  int32_t in_flight_ = 0;
  int64_t ahead_bytes_ = 0;  // AheadBytes of those in flight
  Ticket last_ticket_ = 0;
  std::vector<Peer> peers_;   // [ranks]
  std::vector<OpRef> ready_;  // started next, last first
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_COLLECTIVE_CORE_H_
