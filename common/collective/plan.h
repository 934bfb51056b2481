#ifndef RINGMASTER_COMMON_COLLECTIVE_PLAN_H_
#define RINGMASTER_COMMON_COLLECTIVE_PLAN_H_

#include <cstdint>
#include <vector>

#include "common/collective/schedule.h"

namespace ringmaster {

// One message or one addition of one rank.
struct PlanOp {
  enum class Kind : uint8_t {
    kSend,           // the bytes at `to` of the data
    kReceive,        // stored at `to`
    kReceiveAdd,     // added at `to`
    kAdd,            // what lies at `from` of the scratch is added at `to`: no message
    kGatherSend,     // the rank's own message, whole
    kGatherReceive,  // the peer's message, of any size
  };
  Kind kind = Kind::kSend;
  bool to_scratch = false;  // `to` lies in the scratch, not in the data
  uint16_t round = 0;
  uint16_t piece = 0;
  int32_t peer = 0;
  int32_t waits_for = 0;   // operations that must be done before this one starts
  int32_t next_begin = 0;  // those that wait for this one: next[next_begin, next_end) of the plan
  int32_t next_end = 0;
  int64_t to = 0;  // bytes
  int64_t from = 0;
  int64_t bytes = 0;
  // The receive in whose scratch lies what is at `from`, and what is at `to` with to_scratch.
  int32_t from_receive = -1;
  int32_t to_receive = -1;
  // A question and its answer: bytes that go to a peer and, summed, come back from it in the next
  // round, which nothing here touches meanwhile. Of the send, the receive that brings them back; at
  // the peer, of the receive, the send of the sum. Where the two share memory the answer is written
  // in place, and is no message. Questions wait for nobody's answers of later rounds, so what is
  // lent always comes back.
  int32_t answer = -1;
  int32_t question = -1;  // of the answer
};

inline bool IsSend(const PlanOp& op) {
  return op.kind == PlanOp::Kind::kSend || op.kind == PlanOp::Kind::kGatherSend;
}

// All that one rank does in one collective on data of one size: its schedule's messages cut in
// pieces, and what each of them waits for. Operations that do not wait for each other may run at
// once and end in any order.
struct Plan {
  std::vector<PlanOp> ops;  // by round
  std::vector<int32_t> next;
  int64_t scratch_bytes = 0;
  int32_t senders_max = 1;  // from how many others a rank receives at most, this one or another
};

// The usual size of a piece.
inline constexpr int64_t kPlanPieceBytes = 512 << 10;

// What is planned for. `piece_bytes`, 64 or more, is the same on all ranks: it decides what
// messages there are.
struct PlanShape {
  int32_t rank = 0;
  int32_t ranks = 0;
  int64_t count = 0;
  int64_t element_bytes = 0;
  int64_t piece_bytes = kPlanPieceBytes;
};

// Cuts `schedule` for `shape`. A chunk larger than a piece is cut into nearly equal pieces, and
// each goes its way alone: it is sent on as soon as it is summed, while its neighbours are still
// arriving. Chunks smaller than a piece that one step sends together stay one message while they
// fit into a piece. A message is at most `piece_bytes` long unless the step would be more than
// 65535 of them. No element changes its chunk, so pieces change no bits.
//
// Operation b waits for an earlier operation a when both touch an element that one of them writes.
// Contributions to the same chunks in one round are added in rank order with the rank's own at its
// place, (((g0 + g1) + own) + g3) + ...: when more than one rank stands before this one they are
// summed apart, in scratch, and that sum is added to the own (addition of two commutes). Otherwise
// the first is added on arrival, straight into the data, unless the same round sends what is there:
// then it lands in scratch meanwhile, and is added once that has left. Pure, thread-safe.
Plan MakePlan(const Schedule& schedule, const PlanShape& shape);

// Every rank's message to every other, of any size, in round 0.
Plan MakeGatherPlan(int32_t rank, int32_t ranks);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_PLAN_H_
