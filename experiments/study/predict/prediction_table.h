#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_PREDICTION_TABLE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_PREDICTION_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/record.pb.h"

namespace ringmaster {

// Residuals beyond this share are pointed out.
inline constexpr double kResidualNoted = 0.2;

// The order of ranks that was looked for, of an arm whose workers sum by a collective.
struct PredictedOrder {
  std::string flag;          // "--set strategy.group_order=0,2,1,3"
  double ranks_step_ms = 0;  // in the order of ranks
  int64_t looked_at = 0;     // orders
  bool is_best = false;      // of all orders; else none of those near it is better
};

// What was said of an arm, and what it did.
struct PredictedArm {
  std::string arm;
  std::string transport;  // what the spec says
  Prediction prediction;
  std::optional<PredictedOrder> order;     // that the prediction is of; absent: nobody looked
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
