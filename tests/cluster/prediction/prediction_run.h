#ifndef RINGMASTER_TESTS_CLUSTER_PREDICTION_PREDICTION_RUN_H_
#define RINGMASTER_TESTS_CLUSTER_PREDICTION_PREDICTION_RUN_H_

#include <string>

namespace ringmaster {

// Where a prediction is put to the test: 79510 floats in five buckets, 5 ms of emulated computing,
// tcp.
struct PredictionRun {
  std::string arms;  // comma-separated
  int workers = 2;
  int megabits = 100;  // a second, of every node each way
  double latency_ms = 0.1;
  int steps = 30;
};

// Predicts and measures, in blocks (blocks.h) and at a pace that leaves the cores time to spare
// (shaped_run.h), and expects every arm's measured median step within 20 % of the predicted one.
// The model knows no threads that wait for a core, and the program itself marks what is more than
// 20 % off: that is what it promises.
void ExpectPredictedSteps(const PredictionRun& run);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_PREDICTION_PREDICTION_RUN_H_
