#include "common/scheme/weight_exchange.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
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

absl::StatusOr<RunTraffic> AllReduceTraffic(absl::string_view collective, const RunSpec& resolved,
                                            const ParamLayout& layout, int32_t rank,
                                            int64_t times) {
  constexpr int64_t kFloatBytes = sizeof(float);
  const int32_t ranks = resolved.training().workers();
  RunTraffic traffic;
  if (ranks == 1) return traffic;
  for (const Bucket& bucket : layout.buckets()) {
    RM_ASSIGN_OR_RETURN(const std::unique_ptr<Schedule> schedule,
                        CreateSchedule(collective, {resolved.transport().name(), ranks,
                                                    bucket.count * kFloatBytes}));
    for (const Step& step : schedule->StepsOf(rank, ranks)) {
      const int64_t bytes = times * ElementsOf(step, ranks, bucket.count).count * kFloatBytes;
      (step.op == Step::Op::kSend ? traffic.sent : traffic.received) += bytes;
    }
  }
  return traffic;
}

}  // namespace ringmaster
