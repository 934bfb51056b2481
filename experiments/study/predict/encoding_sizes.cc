#include "experiments/study/predict/encoding_sizes.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/small_tensors.h"
#include "common/exchange/parts.h"
#include "proto/kept_sizes.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
// Sizes differ from step to step, so one alone would be an odd one for ever.
constexpr int64_t kRepeatedNumbers = 10;

// By server and bucket, as lists of sizes have them.
std::vector<EncodedSlice> SlicesOf(const EncodedRun& run, const CodecSpec& codec) {
  const int32_t servers = std::max(1, run.servers);
  std::vector<EncodedSlice> slices;
  for (int32_t server = 0; server < servers; ++server) {
    for (const Bucket& bucket : run.layout->buckets()) {
      const Range part = PartOnServer(bucket, servers, server);
      const int64_t floats = SmallTensorElements(codec, *run.layout, part);
      slices.push_back({floats, part.count - floats});
    }
  }
  return slices;
}

absl::Status Other(absl::string_view what, absl::string_view kept, absl::string_view of_run) {
  return absl::InvalidArgumentError(absl::StrCat("the sizes are of ", what, " ", kept,
                                                 ", and the run is of ", of_run,
                                                 "; keep them anew, with --learn --keep-sizes"));
}

std::string TextOf(const CodecSpec* codec) {
  return codec == nullptr ? "\"none\"" : codec->ShortDebugString();
}

// Whether each list has sizes that encodings by `codec` can have.
absl::Status CheckLists(
    const EncodedRun& run, const CodecSpec& codec, const KeptSizes& kept,
    const google::protobuf::RepeatedField<int64_t>& (*list)(const WorkerSizes& worker)) {
  RM_ASSIGN_OR_RETURN(const auto made, CreateCodec(codec));
  std::vector<int64_t> most;
  for (const auto [floats, others] : SlicesOf(run, codec))
    most.push_back(kFloatBytes * floats + (others == 0 ? 0 : made->MaxEncodedBytes(others)));
  const auto slices = static_cast<int64_t>(most.size());
  for (int rank = 0; rank < kept.workers_size(); ++rank) {
    const auto& sizes = list(kept.workers(rank));
    if (sizes.empty() || sizes.size() % slices != 0) {
      return absl::InvalidArgumentError(absl::StrCat("workers[", rank, "] of the sizes: there are ",
                                                     sizes.size(), "; expected one for each of ",
                                                     slices, " slices, or several times so many"));
    }
    for (int i = 0; i < sizes.size(); ++i) {
      if (sizes[i] >= 0 && sizes[i] <= most[i % slices]) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("workers[", rank, "] of the sizes: ", sizes[i], " bytes of slice ",
                       i % slices, " in message ", i / slices, "; expected 0 to ", most[i % slices],
                       ", the most that codec \"", codec.name(), "\" makes of it"));
    }
  }
  return absl::OkStatus();
}

const google::protobuf::RepeatedField<int64_t>& UpOf(const WorkerSizes& worker) {
  return worker.up();
}
const google::protobuf::RepeatedField<int64_t>& DownOf(const WorkerSizes& worker) {
  return worker.down();
}

}  // namespace

int64_t EncodedRun::slices() const {
  return std::max(1, servers) * static_cast<int64_t>(layout->buckets().size());
}

bool VariesInSize(const CodecSpec& codec) {
  const std::optional<CodecTraits> traits = CodecTraitsOf(codec);
  return traits.has_value() && !traits->fixed_size;
}

bool VariesUp(const EncodedRun& run) { return VariesInSize(*run.codec); }

bool VariesDown(const EncodedRun& run) {
  return run.down_codec != nullptr && VariesInSize(*run.down_codec);
}

absl::Status CheckKeptSizes(const KeptSizes& kept, const EncodedRun& run) {
  if (kept.model().SerializeAsString() != run.model->SerializeAsString())
    return Other("model", kept.model().ShortDebugString(), run.model->ShortDebugString());
  if (kept.codec().SerializeAsString() != run.codec->SerializeAsString())
    return Other("codec", TextOf(&kept.codec()), TextOf(run.codec));
  const CodecSpec* const down = kept.has_down_codec() ? &kept.down_codec() : nullptr;
  if (TextOf(down) != TextOf(run.down_codec))
    return Other("down_codec", TextOf(down), TextOf(run.down_codec));
  if (kept.servers() != run.servers)
    return Other("servers", absl::StrCat(kept.servers()), absl::StrCat(run.servers));
  if (kept.local_steps() != run.local_steps)
    return Other("steps made alone", absl::StrCat(kept.local_steps()),
                 absl::StrCat(run.local_steps));
  const absl::Span<const Bucket> buckets = run.layout->buckets();
  if (kept.bucket_elements_size() != static_cast<int>(buckets.size()))
    return Other("buckets", absl::StrCat(kept.bucket_elements_size()),
                 absl::StrCat(buckets.size()));
  for (const Bucket& bucket : buckets) {
    if (kept.bucket_elements(bucket.id) == bucket.count) continue;
    return Other(absl::StrCat("bucket ", bucket.id, " with elements"),
                 absl::StrCat(kept.bucket_elements(bucket.id)), absl::StrCat(bucket.count));
  }
  if (kept.workers().empty() || kept.workers_size() != kept.worker_count()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sizes are of ", kept.workers_size(), " workers; expected worker_count ",
                     kept.worker_count(), " of them, and one at least"));
  }
  if (VariesUp(run)) RM_RETURN_IF_ERROR(CheckLists(run, *run.codec, kept, UpOf));
  if (VariesDown(run)) RM_RETURN_IF_ERROR(CheckLists(run, *run.down_codec, kept, DownOf));
  return absl::OkStatus();
}

absl::StatusOr<EncodingSizes::Way> EncodingSizes::WayOf(const EncodedRun& run,
                                                        const CodecSpec& codec) {
  Way way;
  RM_ASSIGN_OR_RETURN(way.codec, CreateCodec(codec));
  way.slices = SlicesOf(run, codec);
  return way;
}

absl::StatusOr<std::unique_ptr<EncodingSizes>> EncodingSizes::Create(const EncodedRun& run,
                                                                     const KeptSizes* kept,
                                                                     int64_t first) {
  const std::optional<CodecTraits> traits = CodecTraitsOf(*run.codec);
  // What is summed on the wire is no message of its own.
  const bool is_gathered = traits.has_value() && !traits->exact && !traits->in_rounds &&
                           !traits->summable_as.has_value();
  if (!is_gathered && run.down_codec == nullptr) return nullptr;
  std::unique_ptr<EncodingSizes> sizes(
      new EncodingSizes(static_cast<int64_t>(run.layout->buckets().size()), first));
  RM_ASSIGN_OR_RETURN(sizes->up_, WayOf(run, *run.codec));
  CodecSpec floats;
  floats.set_name(kNoCodec);
  RM_ASSIGN_OR_RETURN(sizes->down_,
                      WayOf(run, run.down_codec != nullptr ? *run.down_codec : floats));
  if (kept == nullptr || !(VariesUp(run) || VariesDown(run))) return sizes;
  RM_RETURN_IF_ERROR(CheckKeptSizes(*kept, run));
  for (const WorkerSizes& worker : kept->workers()) {
    if (VariesUp(run)) sizes->up_.kept.emplace_back(worker.up().begin(), worker.up().end());
    if (VariesDown(run)) sizes->down_.kept.emplace_back(worker.down().begin(), worker.down().end());
  }
  return sizes;
}

int64_t EncodingSizes::Of(const Way& way, const EncodingName& name) const {
  const auto slices = static_cast<int64_t>(way.slices.size());
  const int64_t slice = name.server * buckets_ + name.bucket;
  RM_CHECK(slice < slices);
  if (way.kept.empty()) {
    const auto [floats, others] = way.slices[slice];
    return kFloatBytes * floats +
           (others == 0 ? 0 : way.codec->MaxBytesIn(first_ + name.number, others));
  }
  const std::vector<int64_t>& own = way.kept[name.rank % way.kept.size()];
  return own[KeptNumberFor(name.number, static_cast<int64_t>(own.size()) / slices) * slices +
             slice];
}

int64_t KeptNumberFor(int64_t number, int64_t count) {
  if (number < count) return number;
  const int64_t period = std::min(kRepeatedNumbers, count);
  return count - period + (number - count) % period;
}

}  // namespace ringmaster
