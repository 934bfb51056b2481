#include "experiments/study/predict/all_reduce_plan.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/element_type.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/collective/choice.h"
#include "common/collective/gossip.h"
#include "common/collective/halves.h"
#include "common/collective/owned_chunks.h"
#include "common/collective/schedule.h"
#include "common/config/describe.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using PlansOfRanks = std::shared_ptr<const std::vector<Plan>>;

// The workers by place. Of ranks that are alike, of which one is played for all, any order will do.
std::vector<int32_t> OrderOf(const RunSpec& spec, bool merged) {
  return RanksByPlace(merged ? kOrderByRanks : absl::string_view(spec.strategy().group_order()),
                      TraitsOf(spec).workers);
}

bool IsApart(const RunSpec& spec) { return GoesOn(spec) && TraitsOf(spec).gossip.has_value(); }

// The schedules of one bucket's exchanges, one after the other and again; a null one gathers.
// `order`: ranks by place.
absl::StatusOr<std::vector<std::unique_ptr<Schedule>>> SchedulesOf(
    const RunSpec& spec, const std::vector<int32_t>& order, bool summed,
    const CollectiveSize& size) {
  const SchemeTraits traits = TraitsOf(spec);
  std::vector<std::unique_ptr<Schedule>> schedules;
  if (traits.gossip.has_value()) {
    const GossipArrival arrival = IsApart(spec) ? GossipArrival::kApart : GossipArrival::kAdded;
    for (int32_t round = 0; round < GossipRounds(*traits.gossip, size.ranks); ++round)
      schedules.push_back(CreateGossipSchedule(*traits.gossip, round, arrival));
    return schedules;
  }
  if (!summed) {
    schedules.push_back(nullptr);
    return schedules;
  }
  if (traits.updated != nullptr) {
    schedules.push_back(WithChunksByRank(CreateRingReduceScatter(), order));
    return schedules;
  }
  RM_ASSIGN_OR_RETURN(auto schedule, CreateSchedule(traits.collective, size));
  schedules.push_back(std::move(schedule));
  return schedules;
}

// What is summed or gathered, by whom.
struct Sum {
  const Schedule* schedule = nullptr;  // null: it is gathered
  int32_t workers = 1;
  int64_t count = 0;
  int64_t element_bytes = 0;
  bool merged = false;
};

// Of a place in the group; peers are places.
Plan PlanOfPlace(const Sum& sum, int32_t place) {
  if (sum.workers == 1) return {};
  if (sum.schedule == nullptr) return MakeGatherPlan(place, sum.workers);
  return MakePlan(*sum.schedule, {place, sum.workers, sum.count, sum.element_bytes});
}

// Whether `own` is what `first` is, with peers that are so many ranks on.
bool IsShifted(const Plan& first, const Plan& own, int32_t ranks_on, int32_t ranks) {
  return first.next == own.next &&
         std::equal(first.ops.begin(), first.ops.end(), own.ops.begin(), own.ops.end(),
                    [=](const PlanOp& a, const PlanOp& b) {
                      return a.kind == b.kind && a.round == b.round && a.piece == b.piece &&
                             a.bytes == b.bytes && a.waits_for == b.waits_for &&
                             a.next_begin == b.next_begin && a.next_end == b.next_end &&
                             (a.peer + ranks_on) % ranks == b.peer;
                    });
}

// By rank, with peers that are ranks. `order`: ranks by place.
absl::StatusOr<PlansOfRanks> PlansOf(const Sum& sum, const std::vector<int32_t>& order) {
  std::vector<Plan> of_ranks(sum.merged ? 1 : sum.workers);
  for (int32_t place = 0; place < static_cast<int32_t>(of_ranks.size()); ++place) {
    Plan& plan = of_ranks[order[place]];
    plan = PlanOfPlace(sum, place);
    for (PlanOp& op : plan.ops) op.peer = order[op.peer];
  }
  // Schedules that are not alike differ between neighbours.
  for (const int32_t rank : {1, sum.workers / 2, sum.workers - 1}) {
    if (!sum.merged || rank >= sum.workers ||
        IsShifted(of_ranks[0], PlanOfPlace(sum, rank), rank, sum.workers))
      continue;
    return absl::UnimplementedError(absl::StrCat(
        "merged ranks: worker/", rank, " has another part in \"",
        sum.schedule == nullptr ? "all_gather" : sum.schedule->name(),
        "\" than worker/0, so one cannot stand for all; play every rank, or the ring"));
  }
  return std::make_shared<const std::vector<Plan>>(std::move(of_ranks));
}

// Finds or makes the plans of what is summed or gathered in a run.
class KnownPlans {
 public:
  KnownPlans(const RunSpec& spec, bool merged)
      : spec_(spec), traits_(TraitsOf(spec)), order_(OrderOf(spec, merged)), merged_(merged) {}

  // Of elements of so many bytes; 0: it is gathered.
  absl::StatusOr<AllReducePlan::Round> Find(int64_t bytes, int64_t element_bytes) {
    const bool summed = element_bytes > 0;
    int64_t elements = summed ? bytes / element_bytes : 0;
    if (summed && merged_) {
      elements = CeilDiv(elements, static_cast<int64_t>(traits_.workers)) * traits_.workers;
      bytes = elements * element_bytes;
    }
    std::vector<PlansOfRanks>& plans = known_[elements];
    if (plans.empty()) {
      const CollectiveSize size = {spec_.transport().name(), traits_.workers, bytes,
                                   traits_.group_size};
      RM_ASSIGN_OR_RETURN(const auto schedules, SchedulesOf(spec_, order_, summed, size));
      for (const auto& schedule : schedules) {
        RM_ASSIGN_OR_RETURN(
            plans.emplace_back(),
            PlansOf({schedule.get(), traits_.workers, Copies() * elements, element_bytes, merged_},
                    order_));
      }
    }
    AllReducePlan::Round round;
    round.plans = plans;
    round.bytes = Copies() * bytes;
    if (traits_.marks_are_averages) {
      RM_ASSIGN_OR_RETURN(round.averages, FindAverage(elements));
    }
    if (traits_.updated == nullptr) return round;
    PlansOfRanks& gathers = known_gathers_[elements];
    if (gathers == nullptr) {
      const auto half = WithChunksByRank(CreateRingAllGather(), order_);
      RM_ASSIGN_OR_RETURN(
          gathers,
          PlansOf({half.get(), traits_.workers, elements, element_bytes, merged_}, order_));
    }
    round.gathers = gathers;
    return round;
  }

 private:
  // What an exchange works on, in sizes of a bucket: its weights and those of the neighbours.
  int64_t Copies() const {
    if (!IsApart(spec_)) return 1;
    return static_cast<int64_t>(
        GossipSources(*traits_.gossip, traits_.workers, /*round=*/0, /*rank=*/0).size());
  }
  // Of weights, which are floats.
  absl::StatusOr<PlansOfRanks> FindAverage(int64_t elements) {
    PlansOfRanks& averages = known_averages_[elements];
    if (averages == nullptr) {
      constexpr int64_t kFloatBytes = sizeof(float);
      RM_ASSIGN_OR_RETURN(
          const auto schedule,
          CreateSchedule(AverageCollective(traits_), {spec_.transport().name(), traits_.workers,
                                                      elements * kFloatBytes, traits_.group_size}));
      RM_ASSIGN_OR_RETURN(
          averages,
          PlansOf({schedule.get(), traits_.workers, elements, kFloatBytes, merged_}, order_));
    }
    return averages;
  }

  const RunSpec& spec_;
  const SchemeTraits traits_;
  const std::vector<int32_t> order_;  // ranks by place
  const bool merged_;
  std::map<int64_t, std::vector<PlansOfRanks>> known_;  // by elements; 0: of a gather
  std::map<int64_t, PlansOfRanks> known_gathers_;       // of updated weights, by elements
  std::map<int64_t, PlansOfRanks> known_averages_;      // of all workers' weights, by elements
};

absl::StatusOr<AllReducePlan> PlanRounds(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                         const CodecCosts& costs, bool merged) {
  RM_CHECK(costs.rounds.size() == buckets.size());
  AllReducePlan plan;
  plan.scheme = TraitsOf(spec);
  plan.merged = merged;
  const bool is_alone = plan.scheme.workers == 1;
  plan.in_rounds = !is_alone;
  if (!costs.warmup_rounds.empty()) plan.warmup_steps = spec.codec().warmup_steps();
  plan.encoded_max = is_alone ? 0 : static_cast<int32_t>(buckets.size());
  KnownPlans known(spec, merged);
  constexpr int64_t kFloatBytes = sizeof(float);
  for (const Bucket& bucket : buckets) {
    AllReducePlan::OfBucket& own = plan.buckets.emplace_back();
    const std::vector<int64_t> whole = {bucket.count};
    for (const int64_t count : is_alone ? whole : costs.rounds[bucket.id]) {
      RM_ASSIGN_OR_RETURN(own.rounds.emplace_back(), known.Find(count * kFloatBytes, kFloatBytes));
    }
    if (is_alone) continue;
    if (plan.warmup_steps > 0) {
      for (const int64_t count : costs.warmup_rounds[bucket.id]) {
        RM_ASSIGN_OR_RETURN(own.warmup_rounds.emplace_back(),
                            known.Find(count * kFloatBytes, kFloatBytes));
      }
    }
    own.encode = costs.encode * static_cast<double>(bucket.count);
    own.between = costs.between * static_cast<double>(bucket.count);
    own.decode = costs.decode * static_cast<double>(bucket.count);
  }
  return plan;
}

}  // namespace

std::vector<std::vector<int64_t>> RoundsOf(const RunSpec& spec, const ParamLayout& layout) {
  return RoundsOf(spec, layout, spec.codec().warmup_steps());
}

std::vector<std::vector<int64_t>> RoundsOf(const RunSpec& spec, const ParamLayout& layout,
                                           int64_t step) {
  std::vector<std::vector<int64_t>> rounds;
  const ReducerDefinition* const reducer = FindReducer(spec.codec().name());
  if (reducer == nullptr) return rounds;
  for (const Bucket& bucket : layout.buckets())
    rounds.push_back(reducer->round_elements(spec.codec(), layout, bucket, step));
  return rounds;
}

absl::StatusOr<AllReducePlan> PlanAllReduce(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                            const CodecCosts& costs, bool merged) {
  if (FindReducer(spec.codec().name()) != nullptr) return PlanRounds(spec, buckets, costs, merged);
  RM_ASSIGN_OR_RETURN(const auto codec, CreateCodec(spec.codec()));
  const SchemeTraits traits = TraitsOf(spec);
  const int32_t workers = traits.workers;
  const bool exact = codec->traits().exact;
  const bool summed = codec->traits().summable_as.has_value();
  const int64_t element_bytes = summed ? ElementBytes(*codec->traits().summable_as) : 0;
  AllReducePlan plan;
  plan.scheme = traits;
  plan.merged = merged;
  plan.is_apart = IsApart(spec);
  plan.sizes = costs.sizes;
  if (traits.updated != nullptr) plan.update_share = 1.0 / workers;
  const auto bucket_count = static_cast<int32_t>(buckets.size());
  plan.encoded_max = exact || workers == 1 ? 0 : std::min(kEncodedInFlightMax, bucket_count);
  KnownPlans known(spec, merged);
  for (const Bucket& bucket : buckets) {
    AllReducePlan::OfBucket& own = plan.buckets.emplace_back();
    RM_ASSIGN_OR_RETURN(own.rounds.emplace_back(),
                        known.Find(codec->MaxEncodedBytes(bucket.count), element_bytes));
    if (workers > 1) {
      own.encode = costs.encode * static_cast<double>(bucket.count);
      own.decode = costs.decode * static_cast<double>(bucket.count) * (summed ? 1 : workers);
    }
  }
  return plan;
}

}  // namespace ringmaster
