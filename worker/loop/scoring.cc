#include "worker/loop/scoring.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "worker/loop/evaluate.h"

namespace ringmaster {

Scoring::Scoring(const WorkerSetup& setup, BatchUpload& upload)
    : setup_(setup),
      upload_(upload),
      is_scored_(IsScored(*setup.spec)),
      workers_(TraitsOf(*setup.spec).workers),
      share_(setup.rank) {}

void Scoring::LeaveOut(const std::vector<int32_t>& lost) {
  workers_ -= static_cast<int32_t>(lost.size());
  share_ -=
      static_cast<int32_t>(std::lower_bound(lost.begin(), lost.end(), setup_.rank) - lost.begin());
}

absl::StatusOr<BatchScore> Scoring::ScoreShare(const Samples& samples, int64_t count,
                                               TensorView weights) {
  const Range range = EvaluationShare(samples.shape, count, workers_, share_);
  if (range.count == 0) return BatchScore();
  absl::StatusOr<BatchScore> score =
      Evaluate(samples, range, weights, *setup_.model, upload_, &setup_.progress->work);
  if (score.ok()) return score;
  return Annotate(score.status(), absl::StrCat("worker/", setup_.rank, " phase=evaluate"));
}

absl::Status Scoring::ScoreTestSet(TensorView weights, int64_t samples_seen, double seconds,
                                   WorkerReport* report) {
  setup_.progress->Enter("evaluate");
  const Samples& test = setup_.dataset->test;
  RM_ASSIGN_OR_RETURN(const BatchScore score, ScoreShare(test, test.count(), weights));
  if (score.count > 0) {
    Evaluation* evaluation = report->add_evaluations();
    evaluation->set_samples_seen(samples_seen);
    evaluation->set_seconds(seconds);
    evaluation->set_test_loss(score.loss_sum / static_cast<double>(score.count));
    evaluation->set_test_accuracy(static_cast<double>(score.correct) /
                                  static_cast<double>(score.count));
    evaluation->set_count(score.count);
    setup_.progress->test_accuracy.store(evaluation->test_accuracy(), std::memory_order_relaxed);
  }
  setup_.progress->scored_marks.fetch_add(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status Scoring::ScoreTrainingSet(TensorView weights, WorkerReport* report) {
  setup_.progress->Enter("final loss");
  const Samples& train = setup_.dataset->train;
  RM_ASSIGN_OR_RETURN(const BatchScore score, ScoreShare(train, FinalLossSamples(train), weights));
  if (score.count == 0) return absl::OkStatus();
  report->set_final_loss(score.loss_sum / static_cast<double>(score.count));
  report->set_final_loss_count(score.count);
  return absl::OkStatus();
}

}  // namespace ringmaster
