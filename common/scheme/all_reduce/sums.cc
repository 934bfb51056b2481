#include "common/scheme/all_reduce/sums.h"

#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/codec/small_tensors.h"
#include "common/collective/choice.h"
#include "common/scheme/group_order.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

absl::string_view ScheduleNameOf(absl::string_view collective) {
  for (const CollectiveInfo& info : CollectiveChoices()) {
    if (info.name == collective) return info.name;
  }
  return {};
}

void CheckSummedCodec(const RunSpec& spec, absl::string_view collective, Problems* problems) {
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  if (!codec.has_value() || codec->summable_as.has_value() || codec->in_rounds) return;
  if (collective == "ring") return;
  problems->AddName(
      "codec.name", spec.codec().name(),
      absl::StrCat("its payloads cannot be summed on the wire, as collective \"", collective,
                   "\" does; use collective \"ring\", which gathers them, or codec ",
                   QuotedCodecs(IsLossyAndSummed, " or ")));
}

namespace {

// Of what is summed.
struct ElementCount {
  int64_t count = 0;
  int64_t element_bytes = 0;
};

// Adds what `node` sends and receives when the schedule of the traits sums that many elements.
absl::Status AddSum(const RunSpec& spec, const SchemeTraits& traits, NodeId node,
                    const ElementCount& data, RunTraffic* traffic) {
  RM_ASSIGN_OR_RETURN(
      const std::unique_ptr<Schedule> schedule,
      CreateSchedule(traits.collective, {spec.transport().name(), traits.workers,
                                         data.count * data.element_bytes, traits.group_size}));
  const int32_t chunks = schedule->chunks(traits.workers);
  const int32_t place = PlaceOfRank(spec.strategy().group_order(), traits.workers, node.index);
  for (const Step& step : schedule->StepsOf(place, traits.workers)) {
    const int64_t bytes = ElementsOf(step, chunks, data.count).count * data.element_bytes;
    (step.op == Step::Op::kSend ? traffic->sent : traffic->received) += bytes;
  }
  return absl::OkStatus();
}

// Of a codec that is summed in rounds, which need not be the same in every step.
absl::StatusOr<RunTraffic> RoundsTraffic(const RunSpec& spec, const SchemeTraits& traits,
                                         const ParamLayout& layout, NodeId node, int64_t steps) {
  const ReducerDefinition& reducer = *FindReducer(spec.codec().name());
  RunTraffic traffic;
  for (int64_t step = 0; step < steps; ++step) {
    for (const Bucket& bucket : layout.buckets()) {
      for (const int64_t count : reducer.round_elements(spec.codec(), layout, bucket, step))
        RM_RETURN_IF_ERROR(AddSum(spec, traits, node, {count, sizeof(float)}, &traffic));
    }
  }
  return traffic;
}

}  // namespace

absl::StatusOr<RunTraffic> SumTraffic(const RunSpec& spec, const SchemeTraits& traits,
                                      const ParamLayout& layout, NodeId node, int64_t steps) {
  RunTraffic traffic;
  if (traits.workers == 1) return traffic;
  if (FindReducer(spec.codec().name()) != nullptr)
    return RoundsTraffic(spec, traits, layout, node, steps);
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec.codec()));
  const bool summed = codec->traits().summable_as.has_value();
  for (const Bucket& bucket : layout.buckets()) {
    if (!summed) {
      const int64_t bytes =
          (traits.workers - 1) *
          MaxBytesOfSlice(spec.codec(), *codec, layout, {bucket.begin, bucket.count}, steps);
      traffic.sent += bytes;
      traffic.received += bytes;
      continue;
    }
    const int64_t element_bytes = ElementBytes(*codec->traits().summable_as);
    const int64_t elements = codec->MaxEncodedBytes(bucket.count) / element_bytes;
    RunTraffic step;
    RM_RETURN_IF_ERROR(AddSum(spec, traits, node, {elements, element_bytes}, &step));
    traffic.sent += steps * step.sent;
    traffic.received += steps * step.received;
  }
  return traffic;
}

}  // namespace ringmaster
