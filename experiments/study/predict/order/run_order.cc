#include "experiments/study/predict/order/run_order.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
#include "common/collective/schedule.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/network.h"
#include "experiments/program/run/placement.h"
#include "experiments/study/predict/all_reduce_plan.h"

namespace ringmaster {
namespace {

std::string ListOf(const std::vector<int32_t>& order) { return absl::StrJoin(order, ","); }

// The network of the spec; none: every message takes no time.
absl::StatusOr<NetworkPlan> PlanOf(const RunSpec& spec) {
  return PlanNetwork(NetworkOf(spec).value_or(NetworkShape()), PlaceNodes(spec));
}

bool AreEqual(const std::vector<double>& rates) {
  return std::all_of(rates.begin(), rates.end(), [&](double rate) { return rate == rates[0]; });
}

// Whether all processes see the same network.
bool IsUniform(const NetworkPlan& plan) {
  return plan.links.empty() && plan.racks.empty() && AreEqual(plan.egress) &&
         AreEqual(plan.ingress);
}

// Whether the network is the same with every message turned round.
bool IsAlikeBackwards(const NetworkPlan& plan) {
  if (plan.egress != plan.ingress || plan.HasJitter()) return false;
  return std::all_of(plan.links.begin(), plan.links.end(), [&plan](const auto& link) {
    const auto& [from, to] = link.first;
    const NetworkPlan::Delay there = plan.link(from, to), back = plan.link(to, from);
    return there.rate == back.rate && there.latency == back.latency;
  });
}

// Bytes a nanosecond of a message that is alone.
double RateOf(const NetworkPlan& plan, int32_t from, int32_t to) {
  double rate = std::min({plan.egress[from], plan.ingress[to], plan.link(from, to).rate});
  if (plan.racks.empty() || plan.racks[from] == plan.racks[to]) return rate;
  return std::min({rate, plan.uplinks[plan.racks[from]], plan.uplinks[plan.racks[to]]});
}

// Of all messages of the plans, which are by rank, each alone. `gathered`: bytes of a message that
// is gathered.
double NanosecondsOf(const std::vector<Plan>& plans, int64_t gathered, const NetworkPlan& network) {
  double sum = 0;
  for (size_t rank = 0; rank < plans.size(); ++rank) {
    for (const PlanOp& op : plans[rank].ops) {
      if (!IsSend(op)) continue;
      const auto from = static_cast<int32_t>(rank);
      const int64_t bytes = op.kind == PlanOp::Kind::kGatherSend ? gathered : op.bytes;
      sum += static_cast<double>(network.link(from, op.peer).latency) +
             static_cast<double>(bytes) / RateOf(network, from, op.peer);
    }
  }
  return sum;
}

// What all schedules of the run's buckets have.
absl::StatusOr<ScheduleSymmetry> SymmetryOfRun(const RunSpec& spec, const ParamLayout& layout) {
  const SchemeTraits traits = TraitsOf(spec);
  if (traits.updated != nullptr) {
    RM_ASSIGN_OR_RETURN(const auto ring, CreateSchedule("ring"));
    return SymmetryOf(*ring, traits.workers);
  }
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  if (codec.has_value() && !codec->summable_as.has_value() && !codec->in_rounds)
    return FullSymmetry(traits.workers);
  ScheduleSymmetry symmetry = FullSymmetry(traits.workers);
  if (traits.collective == "auto" && codec.has_value() && !codec->exact) {
    // Which schedules there are depends on sizes of encodings.
    symmetry.rotates = symmetry.any_is_first = false;
    for (int32_t place = 0; place < traits.workers; ++place) symmetry.classes[place] = place;
    return symmetry;
  }
  for (const Bucket& bucket : layout.buckets()) {
    constexpr int64_t kFloatBytes = sizeof(float);
    RM_ASSIGN_OR_RETURN(
        const std::unique_ptr<Schedule> schedule,
        CreateSchedule(traits.collective, {spec.transport().name(), traits.workers,
                                           bucket.count * kFloatBytes, traits.group_size}));
    symmetry = Both(symmetry, SymmetryOf(*schedule, traits.workers));
  }
  return symmetry;
}

}  // namespace

RunSpec InOrder(const RunSpec& spec, const std::vector<int32_t>& order) {
  RunSpec ordered = spec;
  ordered.mutable_strategy()->set_group_order(ListOf(order));
  return ordered;
}

absl::StatusOr<double> MessageSeconds(const RunSpec& spec, const ParamLayout& layout,
                                      const NetworkPlan& network) {
  CodecCosts codec;
  codec.rounds = RoundsOf(spec, layout);
  RM_ASSIGN_OR_RETURN(const AllReducePlan plan, PlanAllReduce(spec, layout.buckets(), codec));
  double nanoseconds = 0;
  if (TraitsOf(spec).processes == 1) return nanoseconds;
  for (const AllReducePlan::OfBucket& bucket : plan.buckets) {
    for (const AllReducePlan::Round& round : bucket.rounds) {
      nanoseconds += NanosecondsOf(*round.plans.front(), round.bytes, network);
      if (round.gathers != nullptr)
        nanoseconds += NanosecondsOf(*round.gathers, round.bytes, network);
    }
  }
  return 1e-9 * nanoseconds;
}

absl::StatusOr<OrderSearch> SearchOf(
    const RunSpec& spec, const ParamLayout& layout,
    std::function<absl::StatusOr<double>(const RunSpec& spec)> step) {
  const int32_t workers = TraitsOf(spec).workers;
  RM_ASSIGN_OR_RETURN(NetworkPlan network, PlanOf(spec));
  OrderSearch search;
  search.start = RanksByPlace(spec.strategy().group_order(), workers);
  if (IsUniform(network) && spec.training().slowdowns().empty()) {
    search.symmetry = FullSymmetry(workers);
  } else {
    RM_ASSIGN_OR_RETURN(search.symmetry, SymmetryOfRun(spec, layout));
  }
  search.may_mirror = IsAlikeBackwards(network);
  search.step = [spec, step = std::move(step)](const std::vector<int32_t>& order) {
    return step(InOrder(spec, order));
  };
  search.messages = [spec, &layout,
                     network = std::move(network)](const std::vector<int32_t>& order) {
    return MessageSeconds(InOrder(spec, order), layout, network);
  };
  return search;
}

std::string OrderFlag(const std::vector<int32_t>& order) {
  return absl::StrCat("--set strategy.group_order=", ListOf(order));
}

}  // namespace ringmaster
