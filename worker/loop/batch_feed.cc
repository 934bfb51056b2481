#include "worker/loop/batch_feed.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "worker/loop/training_batches.h"

namespace ringmaster {
namespace {

DataOrder OrderOf(const RunSpec& spec, int64_t samples) {
  return {spec.data().seed(), samples, spec.training().batch_per_worker()};
}

// Claimed lots are fetched one ahead: no more than one lot's batches are made before their time.
int32_t DepthOf(const RunSpec& spec) {
  const int32_t depth = spec.data().prefetch();
  if (TraitsOf(spec).work == Work::kDealt) return depth;
  return std::min(depth, spec.training().accumulate());
}

LotOrder::Plan LotPlanOf(const WorkerSetup& setup, const StepShape& shape) {
  LotOrder::Plan plan;
  plan.rank = setup.rank;
  plan.ranks = setup.spec->training().workers();
  plan.shares = shape.shares;
  plan.first_step = setup.first_step;
  plan.steps = setup.spec->training().steps();
  plan.claims = TraitsOf(*setup.spec).work == Work::kClaimed;
  plan.settles = PushesSayLots(*setup.spec);
  plan.asks_early = setup.spec->data().prefetch() == 0;
  return plan;
}

}  // namespace

BatchFeed::BatchFeed(const WorkerSetup& setup, const StepShape& shape, float gradient_scale,
                     BatchUpload& upload, RunOutputs& outputs, PhaseTimes& times)
    : setup_(setup),
      shares_(shape.shares),
      dealing_{setup.spec->training().workers(), shape.accumulate},
      gradient_scale_(gradient_scale),
      upload_(upload),
      outputs_(outputs),
      times_(times),
      loader_(setup.dataset->train, OrderOf(*setup.spec, setup.dataset->train.count()),
              setup.spec->data().augment()),
      lots_(LotPlanOf(setup, shape), setup.conductor, setup.progress),
      batch_logs_(shape.shares),
      logged_(shape.shares),
      batches_(lots_.count_max() * shape.accumulate, DepthOf(*setup.spec),
               [this](int64_t k, Batch* batch) { return Fill(k, batch); }) {}

absl::Status BatchFeed::Fill(int64_t k, Batch* batch) {
  const auto index = static_cast<int32_t>(k % dealing_.batches_a_rank);
  if (index == 0) {
    RM_ASSIGN_OR_RETURN(lot_, lots_.Next());
  }
  if (!lot_.has_value()) return absl::OutOfRangeError("no work is left");
  loader_.Fill(dealing_.BatchOf(*lot_, index), batch);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<int64_t>> BatchFeed::NextLot() {
  setup_.progress->Enter("load");
  ScopedPhase phase(times_, Phase::kLoad);
  const absl::StatusOr<const Batch*> batch = batches_.Next();
  if (absl::IsOutOfRange(batch.status())) return std::nullopt;
  RM_RETURN_IF_ERROR(batch.status());
  next_ = *batch;
  return next_->number / dealing_.batches_a_rank;
}

absl::Status BatchFeed::Skip(int64_t steps) {
  RM_CHECK(next_ == nullptr);
  ScopedPhase phase(times_, Phase::kLoad);
  for (int64_t batch = 0; batch < steps * shares_ * dealing_.batches_a_rank; ++batch)
    RM_RETURN_IF_ERROR(batches_.Next().status());
  return absl::OkStatus();
}

absl::StatusOr<BatchView> BatchFeed::Next(const MicroBatch& micro_batch) {
  const Batch* host_batch = std::exchange(next_, nullptr);
  {
    setup_.progress->Enter("load");
    ScopedPhase phase(times_, Phase::kLoad);
    if (host_batch == nullptr) {
      RM_ASSIGN_OR_RETURN(host_batch, batches_.Next());
    }
    RM_CHECK(host_batch->number == dealing_.BatchOf(micro_batch.lot, micro_batch.index));
    const uint64_t fingerprint = BatchFingerprint(*host_batch, &batch_stream_);
    // The rank whose batch it is.
    RM_RETURN_IF_ERROR(outputs_.AddBatch(setup_.rank + micro_batch.share, host_batch->indices));
    Log(micro_batch.share, fingerprint);
    batch_set_ += MixSeed(fingerprint, static_cast<uint64_t>(host_batch->number));
  }
  setup_.progress->Enter("upload");
  ScopedPhase phase(times_, Phase::kUpload);
  // The loss has the factor, so that no pass over the gradients is needed for it.
  return upload_.Upload(
      TrainingViewOf(setup_.spec->training().seed(), *host_batch, gradient_scale_));
}

void BatchFeed::Log(int32_t share, uint64_t fingerprint) {
  batch_logs_[share].Add({reinterpret_cast<const char*>(&fingerprint), sizeof(fingerprint)});
  if (setup_.keep) logged_[share].push_back(static_cast<int64_t>(fingerprint));
}

State BatchFeed::Give() const {
  State state;
  if (!setup_.keep) return state;
  state.AddInteger("set", static_cast<int64_t>(batch_set_));
  for (size_t share = 0; share < logged_.size(); ++share)
    state.AddIntegers(absl::StrCat("of share ", share), logged_[share]);
  return state;
}

absl::Status BatchFeed::Take(const State& state) {
  for (const State::Entry& entry : state.entries()) {
    if (entry.name == "set" && std::holds_alternative<int64_t>(entry.value)) {
      batch_set_ = static_cast<uint64_t>(std::get<int64_t>(entry.value));
      continue;
    }
    int32_t share = 0;
    while (share < shares_ && entry.name != absl::StrCat("of share ", share)) ++share;
    const auto* fingerprints = std::get_if<std::vector<int64_t>>(&entry.value);
    if (share == shares_ || fingerprints == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("the batches' state has \"", entry.name,
                                                     "\", expected \"set\" and fingerprints of ",
                                                     shares_, " shares"));
    }
    for (const int64_t fingerprint : *fingerprints) Log(share, static_cast<uint64_t>(fingerprint));
  }
  return absl::OkStatus();
}

void BatchFeed::Stop() {
  lots_.Stop();
  batches_.Stop();
}

void BatchFeed::AddFingerprints(WorkerReport* report) {
  for (FingerprintStream& log : batch_logs_) report->add_batch_log_fingerprints(log.Finish());
  report->set_batch_set_fingerprint(batch_set_);
}

}  // namespace ringmaster
