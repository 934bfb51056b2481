// What the cost model says, beside what real processes do on a shaped network: the grid in which it
// must hold.

#include "gtest/gtest.h"
#include "tests/cluster/prediction/prediction_run.h"

namespace ringmaster {
namespace {

TEST(PredictionGrid, HoldsForServersShardsAndRingsOfTwoAndFourAtBothRates) {
  for (const int megabits : {100, 1000}) {
    for (const int workers : {2, 4}) {
      SCOPED_TRACE(testing::Message() << workers << " workers at " << megabits << " Mbit/s");
      PredictionRun run;
      run.arms = "ps,ps-sharded,ring";
      run.workers = workers;
      run.megabits = megabits;
      run.steps = megabits == 100 ? 30 : 100;
      ExpectPredictedSteps(run);
    }
  }
}

}  // namespace
}  // namespace ringmaster
