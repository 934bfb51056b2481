#include "worker/loop/evaluate.h"

#include <algorithm>
#include <vector>

#include "common/base/status_macros.h"

namespace ringmaster {

Range EvaluationShare(const SampleShape& shape, int64_t count, int32_t workers, int32_t rank) {
  const int64_t batch = EvaluationBatch(shape);
  const Range batches = Part(CeilDiv(count, batch), workers, rank);
  const int64_t begin = std::min(count, batches.begin * batch);
  return {begin, std::min(count, batches.end() * batch) - begin};
}

absl::StatusOr<BatchScore> Evaluate(const Samples& samples, Range range, TensorView weights,
                                    Model& model, BatchUpload& upload, std::atomic<int64_t>* work,
                                    LabelScores* labels) {
  BatchScore total;
  const SampleShape& shape = samples.shape;
  const int64_t max_batch = EvaluationBatch(shape);
  // Where images are kept as bytes, their floats are made batch by batch.
  std::vector<float> features(
      samples.pixels.empty() ? 0 : std::min(max_batch, range.count) * shape.features());
  for (int64_t begin = range.begin; begin < range.end(); begin += max_batch) {
    const int64_t count = std::min(max_batch, range.end() - begin);
    BatchView host;
    host.count = count;
    host.labels = samples.labels.data() + begin * shape.labels();
    if (shape.context > 0) {
      host.tokens = samples.tokens.data() + begin * shape.context;
    } else if (samples.pixels.empty()) {
      host.features = samples.features.data() + begin * shape.features();
    } else {
      for (int64_t i = 0; i < count; ++i)
        samples.CopyFeatures(begin + i, features.data() + i * shape.features());
      host.features = features.data();
    }
    RM_ASSIGN_OR_RETURN(BatchView batch, upload.Upload(host));
    RM_RETURN_IF_ERROR(model.Forward(batch, weights));
    RM_ASSIGN_OR_RETURN(BatchScore score, model.Score());
    total.loss_sum += score.loss_sum;
    total.correct += score.correct;
    total.count += score.count;
    if (labels != nullptr) {
      const size_t before = labels->losses.size();
      labels->losses.resize(before + score.count);
      labels->predictions.resize(before + score.count);
      RM_RETURN_IF_ERROR(model.ScoreRows(absl::MakeSpan(labels->losses).subspan(before),
                                         absl::MakeSpan(labels->predictions).subspan(before)));
    }
    work->fetch_add(1, std::memory_order_relaxed);
  }
  return total;
}

}  // namespace ringmaster
