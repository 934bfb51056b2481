// A worker is killed, and the others go on: one run of real processes where servers hold the
// weights, and one where workers do. going_on_slow_test has all arms and transports.
#include <signal.h>

#include "gtest/gtest.h"
#include "tests/cluster/going_on/going_on.h"

namespace ringmaster {
namespace {

TEST(GoingOn, WithoutAKilledWorkerEveryClaimedLotIsInTheWeightsOnceAndAllIsScored) {
  ExpectGoesOn({"async"});
}

TEST(GoingOn, WithoutTheFirstWorkerThoseWhoGossipEndWithTheirAverageAndScoreIt) {
  ExpectGoesOn({"gossip", "tcp", SIGKILL, "worker/0"});
}

}  // namespace
}  // namespace ringmaster
