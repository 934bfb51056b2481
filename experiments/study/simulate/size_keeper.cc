#include "experiments/study/simulate/size_keeper.h"

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "google/protobuf/text_format.h"

namespace ringmaster {
namespace {

constexpr int64_t kNobodyHasTold = -1;

int64_t SizesOfOneMessageEach(const EncodedRun& run, int32_t workers) {
  return run.slices() * workers * ((VariesUp(run) ? 1 : 0) + (VariesDown(run) ? 1 : 0));
}

// Gives what nobody has told the size of the message before, or, before all, the first one told.
// Whether each slice has one.
bool Fill(int64_t slices, absl::Span<int64_t> sizes) {
  const auto count = static_cast<int64_t>(sizes.size());
  for (int64_t slice = 0; slice < slices; ++slice) {
    int64_t last = kNobodyHasTold;
    for (int64_t i = slice; i < count && last == kNobodyHasTold; i += slices) last = sizes[i];
    if (last == kNobodyHasTold) return false;
    for (int64_t i = slice; i < count; i += slices) {
      if (sizes[i] == kNobodyHasTold) sizes[i] = last;
      last = sizes[i];
    }
  }
  return true;
}

}  // namespace

absl::Status SizeKeeper::Check(const EncodedRun& run, int32_t workers) {
  const int64_t sizes = SizesOfOneMessageEach(run, workers);
  if (sizes == 0) {
    return absl::InvalidArgumentError(
        "--keep-sizes: the sizes of all encodings follow from the codec, and a run without --learn "
        "has them; leave it out");
  }
  if (sizes <= kSizesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--keep-sizes: ", workers, " workers with ", run.slices(), " encodings each have ", sizes,
      " sizes in one step, and ", kSizesMax,
      " are kept at most; keep those of a run of fewer workers, which are played for any number"));
}

SizeKeeper::SizeKeeper(const EncodedRun& run, int32_t workers)
    : run_(run), numbers_max_(kSizesMax / SizesOfOneMessageEach(run, workers)) {
  up_.varies = VariesUp(run);
  down_.varies = VariesDown(run);
  up_.workers.resize(workers);
  down_.workers.resize(workers);
}

void SizeKeeper::Keep(const EncodingName& name, int64_t bytes, Way* way) {
  if (!way->varies || name.number >= numbers_max_) return;
  const int64_t slices = run_.slices();
  std::vector<int64_t>& sizes = way->workers[name.rank];
  if (static_cast<int64_t>(sizes.size()) <= name.number * slices)
    sizes.resize((name.number + 1) * slices, kNobodyHasTold);
  const auto buckets = static_cast<int64_t>(run_.layout->buckets().size());
  sizes[name.number * slices + name.server * buckets + name.bucket] = bytes;
}

absl::StatusOr<KeptSizes> SizeKeeper::Kept(const std::string& run) const {
  KeptSizes kept;
  kept.set_run(run);
  *kept.mutable_model() = *run_.model;
  *kept.mutable_codec() = *run_.codec;
  if (run_.down_codec != nullptr) *kept.mutable_down_codec() = *run_.down_codec;
  kept.set_servers(run_.servers);
  kept.set_local_steps(run_.local_steps);
  for (const Bucket& bucket : run_.layout->buckets()) kept.add_bucket_elements(bucket.count);
  kept.set_worker_count(static_cast<int32_t>(up_.workers.size()));
  for (size_t rank = 0; rank < up_.workers.size(); ++rank) {
    WorkerSizes* const worker = kept.add_workers();
    for (const Way* way : {&up_, &down_}) {
      if (!way->varies) continue;
      std::vector<int64_t> sizes = way->workers[rank];
      if (!Fill(run_.slices(), absl::MakeSpan(sizes))) {
        return absl::FailedPreconditionError(
            absl::StrCat("--keep-sizes: worker/", rank, way == &up_ ? " has sent" : " was sent",
                         " no encoding of some bucket; give the run more steps"));
      }
      (way == &up_ ? worker->mutable_up() : worker->mutable_down())
          ->Add(sizes.begin(), sizes.end());
    }
  }
  return kept;
}

std::string ToText(const KeptSizes& sizes) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseShortRepeatedPrimitives(true);
  std::string text;
  printer.PrintToString(sizes, &text);
  return text;
}

}  // namespace ringmaster
