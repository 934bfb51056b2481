#include "experiments/study/simulate/sum_in_memory.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

#include "common/base/check.h"
#include "common/base/element_type.h"
#include "experiments/study/predict/simulated_data.h"
#include "experiments/study/simulate/rank_flights.h"

namespace ringmaster {
namespace {

class Sum {
 public:
  Sum(const std::vector<Plan>& plans, absl::Span<const absl::Span<float>> values)
      : plans_(plans),
        flights_(plans.size(), RankFlights(static_cast<int32_t>(plans.size()))),
        waits_for_(plans.size()) {
    for (size_t rank = 0; rank < plans.size(); ++rank) {
      auto* const bytes = reinterpret_cast<std::byte*>(values[rank].data());
      flights_[rank].Start(kFlight, absl::MakeSpan(bytes, values[rank].size() * sizeof(float)),
                           plans[rank], ElementType::kFloat32);
      for (size_t op = 0; op < plans[rank].ops.size(); ++op) {
        waits_for_[rank].push_back(plans[rank].ops[op].waits_for);
        if (waits_for_[rank].back() == 0) ready_.push_back({rank, op});
      }
    }
  }

  void Run() {
    while (!ready_.empty()) {
      const Ref ref = ready_.back();
      ready_.pop_back();
      if (Do(ref)) Done(ref);
    }
    RM_CHECK(expected_.empty() && sent_.empty());
  }

 private:
  static constexpr int32_t kFlight = 0;
  struct Ref {
    size_t rank = 0;
    size_t op = 0;
  };
  using MessageName = std::tuple<size_t, size_t, uint16_t, uint16_t>;  // from, to, round, piece

  const PlanOp& OpOf(const Ref& ref) const { return plans_[ref.rank].ops[ref.op]; }

  // False: it is a receive whose message has not been sent, and is ready again when it has.
  bool Do(const Ref& ref) {
    const PlanOp& op = OpOf(ref);
    RankFlights& flights = flights_[ref.rank];
    const auto peer = static_cast<size_t>(op.peer);
    if (op.kind == PlanOp::Kind::kAdd) {
      flights.Add(kFlight, op);
    } else if (IsSend(op)) {
      const MessageName name = {ref.rank, peer, op.round, op.piece};
      sent_[name] = flights.Send(kFlight, op);
      const auto expected = expected_.find(name);
      if (expected == expected_.end()) return true;
      ready_.push_back(expected->second);
      expected_.erase(expected);
    } else {
      const MessageName name = {peer, ref.rank, op.round, op.piece};
      const auto sent = sent_.find(name);
      if (sent == sent_.end()) {
        expected_[name] = ref;
        return false;
      }
      flights.Receive(kFlight, op, sent->second);
      sent_.erase(sent);
    }
    return true;
  }

  void Done(const Ref& ref) {
    const PlanOp& op = OpOf(ref);
    for (int32_t next = op.next_begin; next < op.next_end; ++next) {
      const auto after = static_cast<size_t>(plans_[ref.rank].next[next]);
      if (--waits_for_[ref.rank][after] == 0) ready_.push_back({ref.rank, after});
    }
  }

  const std::vector<Plan>& plans_;
  std::vector<RankFlights> flights_;             // by rank
  std::vector<std::vector<int32_t>> waits_for_;  // by rank and operation
  std::vector<Ref> ready_;
  std::map<MessageName, Payload> sent_;  // and not received
  std::map<MessageName, Ref> expected_;  // and not sent
};

}  // namespace

void SumInMemory(const std::vector<Plan>& plans, absl::Span<const absl::Span<float>> values) {
  RM_CHECK(plans.size() == values.size());
  Sum(plans, values).Run();
}

}  // namespace ringmaster
