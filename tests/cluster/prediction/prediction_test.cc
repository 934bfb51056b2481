// What the cost model says, beside what real processes do on a shaped network: seconds. The whole
// grid is prediction_grid_test.

#include "gtest/gtest.h"
#include "tests/cluster/prediction/prediction_run.h"

namespace ringmaster {
namespace {

TEST(Prediction, HoldsForServersAndARingOfTwoOnASlowNetwork) {
  PredictionRun run;
  run.arms = "ps,ring";
  run.workers = 2;
  run.megabits = 100;
  run.steps = 20;
  ExpectPredictedSteps(run);
}

}  // namespace
}  // namespace ringmaster
