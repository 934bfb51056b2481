// A worker is lost, and the others go on: every arm that can, every transport, every way to be
// lost.
#include <signal.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/cluster/going_on/going_on.h"
#include "tests/support/arms.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

bool MayContinue(const ArmUnderTest& arm) { return arm.traits.may_continue; }

class EveryArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(GoingOn, EveryArm, testing::ValuesIn(ArmsThat(MayContinue)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryArm, GoesOnWithoutAKilledWorker) { ExpectGoesOn({GetParam()}); }

class EveryTransport : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(GoingOn, EveryTransport, testing::ValuesIn(ProcessTransports()),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryTransport, GoesOnWithoutTheFirstWorker) {
  ExpectGoesOn({"async", GetParam(), SIGKILL, "worker/0"});
}

// Workers that wait for each other hear of the loss in the midst of an exchange.
TEST_P(EveryTransport, GoesOnWithoutANeighbour) { ExpectGoesOn({"gossip", GetParam()}); }

TEST_P(EveryTransport, GoesOnWithoutAWorkerThatIsSuspended) {
  ExpectGoesOn({"async", GetParam(), SIGSTOP});
}

}  // namespace
}  // namespace ringmaster
