// A worker is killed, and the others go on: one run of real processes. going_on_slow_test has all
// arms and transports.
#include "gtest/gtest.h"
#include "tests/cluster/going_on/going_on.h"

namespace ringmaster {
namespace {

TEST(GoingOn, WithoutAKilledWorkerEveryClaimedLotIsInTheWeightsOnceAndAllIsScored) {
  ExpectGoesOn({"async"});
}

}  // namespace
}  // namespace ringmaster
