#include "worker/loop/batch_feed.h"

#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/control/dealing.h"

namespace ringmaster {
namespace {

// Names the stream of dropout masks among those of the training seed.
constexpr uint64_t kDropoutStream = 0x64726f706f7574;

DataOrder OrderOf(const RunSpec& spec, int64_t samples) {
  return {spec.data().seed(), samples, spec.training().batch_per_worker()};
}

BatchView ViewOf(const Batch& batch) {
  BatchView view;
  view.features = batch.features.data();
  view.tokens = batch.tokens.data();
  view.labels = batch.labels.data();
  view.count = batch.count();
  return view;
}

}  // namespace

BatchFeed::BatchFeed(const WorkerSetup& setup, const StepShape& shape, float gradient_scale,
                     BatchUpload& upload, RunOutputs& outputs, PhaseTimes& times)
    : setup_(setup),
      gradient_scale_(gradient_scale),
      upload_(upload),
      outputs_(outputs),
      times_(times),
      loader_(setup.dataset->train, OrderOf(*setup.spec, setup.dataset->train.count()),
              setup.spec->data().augment()),
      batch_logs_(shape.shares),
      batches_((setup.spec->training().steps() - setup.first_step) * shape.batches(),
               setup.spec->data().prefetch(),
               [this, shape, dealing = Dealing{setup.spec->training().workers(), shape.accumulate}](
                   int64_t k, Batch* batch) {
                 const auto nth = static_cast<int32_t>(k % shape.batches());
                 const int64_t step = setup_.first_step + k / shape.batches();
                 loader_.Fill(dealing.BatchOf({step, setup_.rank + nth / shape.accumulate,
                                               nth % shape.accumulate}),
                              batch);
                 return absl::OkStatus();
               }) {}

absl::StatusOr<BatchView> BatchFeed::Next(const MicroBatch& micro_batch) {
  // The rank whose batch it is.
  const int32_t rank = setup_.rank + micro_batch.share;
  const Batch* host_batch = nullptr;
  {
    setup_.progress->Enter("load");
    ScopedPhase phase(times_, Phase::kLoad);
    RM_ASSIGN_OR_RETURN(host_batch, batches_.Next());
    const uint64_t fingerprint = BatchFingerprint(*host_batch, &batch_stream_);
    RM_RETURN_IF_ERROR(outputs_.AddBatch(rank, host_batch->indices));
    batch_logs_[micro_batch.share].Add(
        {reinterpret_cast<const char*>(&fingerprint), sizeof(fingerprint)});
  }
  setup_.progress->Enter("upload");
  ScopedPhase phase(times_, Phase::kUpload);
  RM_ASSIGN_OR_RETURN(BatchView batch, upload_.Upload(ViewOf(*host_batch)));
  batch.training = true;
  batch.dropout_seed = DropoutSeed(rank, micro_batch);
  // The loss has the factor, so that no pass over the gradients is needed for it.
  batch.gradient_scale = gradient_scale_;
  return batch;
}

void BatchFeed::AddFingerprints(WorkerReport* report) {
  for (FingerprintStream& log : batch_logs_) report->add_batch_log_fingerprints(log.Finish());
}

uint64_t BatchFeed::DropoutSeed(int32_t rank, const MicroBatch& micro_batch) const {
  uint64_t seed = MixSeed(setup_.spec->training().seed(), kDropoutStream);
  for (const int64_t stream : {int64_t{rank}, micro_batch.step, int64_t{micro_batch.index}}) {
    seed = MixSeed(seed, static_cast<uint64_t>(stream));
  }
  return seed;
}

}  // namespace ringmaster
