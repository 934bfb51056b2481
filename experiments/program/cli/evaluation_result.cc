#include "experiments/program/cli/evaluation_result.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/formats/npy.h"
#include "proto/run_record.pb.h"

namespace ringmaster {

absl::StatusOr<EvaluationResult> GatherEvaluation(const RunRecord& record, int64_t test_samples) {
  std::vector<const WorkerReport*> workers;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) workers.push_back(&worker);
  }
  std::sort(workers.begin(), workers.end(),
            [](const WorkerReport* a, const WorkerReport* b) { return a->rank() < b->rank(); });
  EvaluationResult result;
  int64_t correct = 0;
  double loss_sum = 0;
  for (const WorkerReport* worker : workers) {
    const SampleScores& scores = worker->scores();
    if (scores.begin() != result.samples || scores.losses_size() != scores.count()) {
      return absl::InternalError(absl::StrCat(
          "worker/", worker->rank(), " scored ", scores.losses_size(), " samples from ",
          scores.begin(), " on; expected ", scores.count(), " from ", result.samples, " on"));
    }
    for (const double loss : scores.losses()) loss_sum += loss;
    result.predictions.insert(result.predictions.end(), scores.predictions().begin(),
                              scores.predictions().end());
    correct += scores.correct();
    result.samples += scores.count();
    result.weights_sha256 = worker->weights_sha256();
  }
  result.labels = static_cast<int64_t>(result.predictions.size());
  if (result.samples != test_samples || result.labels % std::max<int64_t>(1, result.samples) != 0) {
    return absl::InternalError(absl::StrCat("the workers scored ", result.samples, " samples and ",
                                            result.labels, " labels, and the test set has ",
                                            test_samples, " samples"));
  }
  result.loss = loss_sum / static_cast<double>(result.labels);
  result.accuracy = static_cast<double>(correct) / static_cast<double>(result.labels);
  return result;
}

absl::Status WritePredictions(const EvaluationResult& result, const std::string& path) {
  std::vector<int64_t> shape = {result.samples};
  if (result.labels != result.samples) shape.push_back(result.labels / result.samples);
  RM_ASSIGN_OR_RETURN(std::unique_ptr<NpyWriter> writer,
                      NpyWriter::Create(path, NpyType::kInt32, shape));
  RM_RETURN_IF_ERROR(writer->Append(result.predictions));
  return writer->Finish();
}

}  // namespace ringmaster
