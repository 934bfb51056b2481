#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_PREDICTION_TABLE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_PREDICTION_TABLE_H_

#include <optional>
#include <string>
#include <vector>

#include "proto/record.pb.h"

namespace ringmaster {

// Residuals beyond this share are pointed out.
inline constexpr double kResidualNoted = 0.2;

// What was said of an arm, and what it did.
struct PredictedArm {
  std::string arm;
  std::string transport;  // what the spec says
  Prediction prediction;
  std::string status;                      // of the measured run; empty: it was not measured
  std::optional<double> measured_step_ms;  // median; absent where there is no good run
};

// (measured - predicted) / measured: above 0 where the run took longer. Absent without a
// measurement.
std::optional<double> ResidualOf(const PredictedArm& arm);

// A row each, with units, as UTF-8 text that ends with a newline; under it what messages are
// computed to take, and the arms whose residual is noted. Pure.
// `doubts`: why the figures are doubtful, a sentence each; they stand first.
std::string PredictionTable(const std::vector<PredictedArm>& arms,
                            const std::vector<std::string>& doubts = {});

// {"arms": [...], "doubts": [...]} with the same figures, on one line; null for what there is not.
// Pure.
std::string PredictionJson(const std::vector<PredictedArm>& arms,
                           const std::vector<std::string>& doubts = {});

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_PREDICTION_TABLE_H_
