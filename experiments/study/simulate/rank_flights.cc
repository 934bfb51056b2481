#include "experiments/study/simulate/rank_flights.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/collective/collective_core.h"
#include "common/vecmath/element_bytes.h"

namespace ringmaster {

RankFlights::RankFlights(int32_t ranks, bool watched)
    : ranks_(ranks), watched_(watched), flights_(CollectiveLimits().in_flight_max) {}

void RankFlights::Start(int32_t flight, absl::Span<std::byte> data, const Plan& plan,
                        std::optional<ElementType> summed_as) {
  Flight& started = flights_[flight];
  started.plan = &plan;
  started.summed_as = summed_as;
  started.data = data;
  started.scratch.assign(plan.scratch_bytes, std::byte{0xff});
  started.received.assign(ranks_, {});
}

Payload RankFlights::Send(int32_t flight, const PlanOp& op) const {
  const absl::Span<std::byte> data = flights_[flight].data;
  return PayloadOf(op.kind == PlanOp::Kind::kGatherSend ? data : data.subspan(op.to, op.bytes),
                   watched_);
}

void RankFlights::Receive(int32_t flight, const PlanOp& op, const Payload& payload) {
  Flight& own = flights_[flight];
  if (op.kind == PlanOp::Kind::kGatherReceive) {
    own.received[op.peer] = payload->bytes;
  } else if (op.kind == PlanOp::Kind::kReceiveAdd) {
    AddBytes(*own.summed_as, payload->bytes, Target(own, op));
  } else {
    const absl::Span<std::byte> target = Target(own, op);
    RM_CHECK(payload->bytes.size() == target.size());
    std::copy(payload->bytes.begin(), payload->bytes.end(), target.begin());
  }
}

void RankFlights::Add(int32_t flight, const PlanOp& op) {
  Flight& own = flights_[flight];
  AddBytes(*own.summed_as, Scratch(own, op.from_receive), Target(own, op));
}

absl::Span<std::byte> RankFlights::Scratch(Flight& flight, int32_t receive) {
  const PlanOp& op = flight.plan->ops[receive];
  return absl::MakeSpan(flight.scratch).subspan(op.to, op.bytes);
}

absl::Span<std::byte> RankFlights::Target(Flight& flight, const PlanOp& op) {
  return op.to_scratch ? Scratch(flight, op.to_receive) : flight.data.subspan(op.to, op.bytes);
}

}  // namespace ringmaster
