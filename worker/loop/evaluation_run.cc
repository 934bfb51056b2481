#include "worker/loop/evaluation_run.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/fingerprint.h"
#include "common/base/status_macros.h"
#include "proto/run_spec.pb.h"
#include "worker/loop/batch_upload.h"
#include "worker/loop/evaluate.h"
#include "worker/loop/weight_copies.h"

namespace ringmaster {
namespace {

// A message of the control plane holds this many predictions without coming near its limit.
constexpr int64_t kReportedLabelsMax = int64_t{8} << 20;

}  // namespace

absl::Status RunEvaluation(const WorkerSetup& setup, WorkerReport* report) {
  setup.progress->phase.store("evaluate", std::memory_order_relaxed);
  report->set_rank(setup.rank);
  report->set_kernel_target(setup.kernels->target());
  const std::vector<float> initial_weights = setup.initial_weights->Take();
  report->set_weights_sha256(Sha256Hex(initial_weights));
  const Samples& test = setup.dataset->test;
  const Range range =
      EvaluationShare(test.shape, test.count(), setup.spec->training().workers(), setup.rank);
  const int64_t labels = test.shape.labels();
  if (range.count * labels > kReportedLabelsMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("worker/", setup.rank, ": its share of the test set has ",
                     range.count * labels, " labels, and a report carries ", kReportedLabelsMax,
                     "; use more --workers, or fewer samples with --set data.test_limit=N"));
  }
  SampleScores* scores = report->mutable_scores();
  scores->set_begin(range.begin);
  scores->set_count(range.count);
  if (range.count == 0) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const auto copies,
                      WeightCopies::Create(*setup.kernels, setup.model->layout().count()));
  RM_ASSIGN_OR_RETURN(
      BatchUpload upload,
      BatchUpload::Create(*setup.kernels,
                          LargestBatch(setup.spec->training().batch_per_worker(), test.shape),
                          test.shape));
  RM_ASSIGN_OR_RETURN(const TensorView weights,
                      copies->ForKernels(WeightsView::OnHost(initial_weights, 0)));
  LabelScores rows;
  RM_ASSIGN_OR_RETURN(const BatchScore total, Evaluate(test, range, weights, *setup.model, upload,
                                                       &setup.progress->work, &rows));
  scores->set_correct(total.correct);
  for (int64_t sample = 0; sample < range.count; ++sample) {
    double loss = 0;
    for (int64_t i = 0; i < labels; ++i) loss += rows.losses[sample * labels + i];
    scores->add_losses(loss);
  }
  scores->mutable_predictions()->Add(rows.predictions.begin(), rows.predictions.end());
  return absl::OkStatus();
}

}  // namespace ringmaster
