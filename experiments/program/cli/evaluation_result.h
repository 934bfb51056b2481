#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_EVALUATION_RESULT_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_EVALUATION_RESULT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ringmaster {

class RunRecord;

// The test set's scores, all workers' shares together.
struct EvaluationResult {
  int64_t samples = 0;
  int64_t labels = 0;  // one a sample, or one a character of a text
  double loss = 0;  // mean over labels; summed in sample order, so that N workers give one's bits
  double accuracy = 0;  // in [0, 1]
  std::string weights_sha256;
  std::vector<int32_t> predictions;  // [labels], in order
};

// Puts the shares of a finished evaluation run together. Internal: shares that do not cover samples
// 0 to `test_samples` - 1 exactly once.
absl::StatusOr<EvaluationResult> GatherEvaluation(const RunRecord& record, int64_t test_samples);

// Writes predictions as int32 .npy: [samples], or [samples, labels a sample] where there are
// several.
absl::Status WritePredictions(const EvaluationResult& result, const std::string& path);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_EVALUATION_RESULT_H_
