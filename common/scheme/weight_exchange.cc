#include "common/scheme/weight_exchange.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
#include "common/scheme/group_order.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

void CheckWeightsGoWhole(const RunSpec& resolved, Problems* problems) {
  const CodecInfo* const codec = FindCodec(resolved.codec().name());
  if (codec == nullptr || codec->traits.exact) return;
  problems->AddName("codec.name", codec->name,
                    "is lossy, and what workers exchange here are their weights, which a codec of "
                    "gradients would spoil; use \"none\", or a scheme that exchanges gradients, "
                    "such as all_reduce");
}

void CheckOwnCollective(absl::string_view field, const std::string& name, Problems* problems) {
  problems->Known(field, "collective", name, RegistryNames(CollectiveChoices()));
}

absl::string_view OwnCollective(absl::string_view name) {
  for (const CollectiveInfo& info : CollectiveChoices()) {
    if (info.name == name) return info.name;
  }
  return {};
}

absl::StatusOr<RunTraffic> AllReduceTraffic(const RunSpec& resolved, const SchemeTraits& traits,
                                            const ParamLayout& layout, int32_t rank,
                                            int64_t times) {
  constexpr int64_t kFloatBytes = sizeof(float);
  const int32_t ranks = traits.workers;
  RunTraffic traffic;
  if (ranks == 1) return traffic;
  const int32_t place = PlaceOfRank(resolved.strategy().group_order(), ranks, rank);
  for (const Bucket& bucket : layout.buckets()) {
    RM_ASSIGN_OR_RETURN(
        const std::unique_ptr<Schedule> schedule,
        CreateSchedule(traits.collective, {resolved.transport().name(), ranks,
                                           bucket.count * kFloatBytes, traits.group_size}));
    for (const Step& step : schedule->StepsOf(place, ranks)) {
      const int64_t bytes =
          times * ElementsOf(step, schedule->chunks(ranks), bucket.count).count * kFloatBytes;
      (step.op == Step::Op::kSend ? traffic.sent : traffic.received) += bytes;
    }
  }
  return traffic;
}

}  // namespace ringmaster
