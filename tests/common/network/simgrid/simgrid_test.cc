// The fluid beside SimGrid's, an independent implementation of max-min fairness, on random sets of
// messages. What the two do not mean alike is switched off or left out (flow_set.h).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "gtest/gtest.h"
#include "tests/common/network/simgrid/flow_set.h"
#include "tests/common/network/simgrid/simgrid_network.h"

namespace ringmaster {
namespace {

// SimGrid computes in doubles and looks at times to the nanosecond, as we do; 1 % of the time
// that a message takes, from its start, is far from both.
constexpr double kDifferenceMost = 0.01;
constexpr uint64_t kSets = 1000;

TEST(SimGrid, ArrivalsOfAThousandRandomSetsAreOurs) {
  int64_t messages = 0;
  double largest = 0;
  for (uint64_t seed = 1; seed <= kSets; ++seed) {
    const FlowSet set = RandomFlowSet(seed);
    const auto theirs = PlayInSimGrid(set, SimGridModel::kPlain);
    ASSERT_TRUE(theirs.ok()) << theirs.status() << ", seed " << seed;
    const std::vector<double> ours = PlayInFlowNetwork(set);
    for (size_t i = 0; i < ours.size(); ++i) {
      const FlowSet::Message& message = set.messages[i];
      const double taken = (*theirs)[i] - static_cast<double>(message.start);
      const double difference = std::abs(ours[i] - (*theirs)[i]) / taken;
      ASSERT_LE(difference, kDifferenceMost)
          << "seed " << seed << ": " << Describe(set) << "; message " << i << " of "
          << message.bytes << " B from " << message.from << " to " << message.to << ", started at "
          << message.start << " ns: ours arrives at " << ours[i] << ", SimGrid's at "
          << (*theirs)[i];
      largest = std::max(largest, difference);
      ++messages;
    }
  }
  std::printf("%lld messages; the largest difference is %.2g of a message's time\n",
              static_cast<long long>(messages), largest);
  EXPECT_GT(messages, static_cast<int64_t>(20 * kSets));
}

}  // namespace
}  // namespace ringmaster
