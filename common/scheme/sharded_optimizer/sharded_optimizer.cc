#include "common/scheme/sharded_optimizer/sharded_optimizer.h"

#include <optional>
#include <string>
#include <vector>

#include "common/codec/codec.h"
#include "common/collective/halves.h"
#include "common/collective/owned_chunks.h"
#include "common/scheme/group_order.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr ArmInfo kArms[] = {
    {"sharded-optimizer",
     "the ring in two halves with the update between them: 1/N of the optimizer a worker (ZeRO-1)",
     275, false, "strategy { sharded_optimizer {} }", ""},
};

void LeaveAsItIs(int32_t, StrategySpec*) {}

void Check(const RunSpec& spec, Problems* problems) {
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  if (codec.has_value() && !codec->exact) {
    problems->AddName("codec.name", spec.codec().name(),
                      "half of what sharded_optimizer sends is weights, which go as they are; use "
                      "codec \"none\", or strategy all_reduce");
  }
}

// The chunk of every bucket whose sum the reduce-scatter leaves with the rank.
std::vector<Range> UpdatedBy(const ParamLayout& layout, int32_t workers, int32_t rank) {
  std::vector<Range> ranges;
  for (const Bucket& bucket : layout.buckets()) {
    const Range chunk = Part(bucket.count, workers, RingChunkOf(rank, workers));
    if (chunk.count > 0) ranges.push_back({bucket.begin + chunk.begin, chunk.count});
  }
  return ranges;
}

SchemeTraits Traits(const StrategySpec&, int32_t workers) {
  SchemeTraits traits;
  traits.workers = workers;
  traits.collective = "ring";
  traits.updated = UpdatedBy;
  return traits;
}

// Both halves together are the ring.
absl::StatusOr<RunTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node,
                                     int64_t steps) {
  const int32_t workers = spec.training().workers();
  const std::vector<int32_t> ranks = RanksByPlace(spec.strategy().group_order(), workers);
  const int32_t place = PlaceOfRank(spec.strategy().group_order(), workers, node.index);
  RunTraffic traffic;
  for (const Bucket& bucket : layout.buckets()) {
    for (const auto& half : {WithChunksByRank(CreateRingReduceScatter(), ranks),
                             WithChunksByRank(CreateRingAllGather(), ranks)}) {
      for (const Step& step : half->StepsOf(place, workers)) {
        const int64_t bytes = ElementsOf(step, half->chunks(workers), bucket.count).count *
                              static_cast<int64_t>(sizeof(float));
        (step.op == Step::Op::kSend ? traffic.sent : traffic.received) += bytes;
      }
    }
  }
  traffic.sent *= steps;
  traffic.received *= steps;
  return traffic;
}

std::string Rule(const RunSpec&) {
  return "Between the halves every worker's optimizer, which has state for that share alone, "
         "updates the chunk of each bucket whose averaged gradient the first half has left with "
         "the worker. The second half hands on the updated weights, so all have the same bits.";
}

}  // namespace

constexpr Scheme kShardedOptimizerScheme = {
    "sharded_optimizer",
    "the ring in two halves, the update between them: each worker keeps 1/N of the optimizer",
    kArms,
    LeaveAsItIs,
    Check,
    Traits,
    TrafficOf,
    Rule,
};

}  // namespace ringmaster
