// docs/results/simulation.md: what FlowNetwork, SimGrid and SimGrid's default model say of a few
// sets of messages.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/network/simgrid/flow_set.h"
#include "tests/common/network/simgrid/simgrid_network.h"

namespace ringmaster {
namespace {

constexpr double kGigabit = 1.25e8;  // bytes a second
constexpr int64_t kMegabyte = 1'000'000;

struct Row {
  std::string name;
  FlowSet set;
};

// On cards of 1 Gbit/s and 50 us; all messages start at once.
FlowSet NewSet(int32_t hosts) {
  FlowSet set;
  set.hosts = hosts;
  set.shape.rate = kGigabit;
  set.shape.latency = absl::Microseconds(50);
  return set;
}

FlowSet AllToAll(int32_t hosts) {
  FlowSet set = NewSet(hosts);
  for (int32_t from = 0; from < hosts; ++from) {
    for (int32_t to = 0; to < hosts; ++to) {
      if (from != to) set.messages.push_back({from, to, kMegabyte, 0});
    }
  }
  return set;
}

std::vector<Row> Rows() {
  std::vector<Row> rows = {{"one message of 1 kB", NewSet(2)},
                           {"one message of 1 MB", NewSet(2)},
                           {"1 MB from each of 8 to one", NewSet(9)},
                           {"1 MB from each of 8 to the next", NewSet(8)},
                           {"1 MB from each of 8 to every other", AllToAll(8)},
                           {"the same, in two racks with uplinks of 1 Gbit/s", AllToAll(8)}};
  rows[0].set.messages = {{0, 1, 1000, 0}};
  rows[1].set.messages = {{0, 1, kMegabyte, 0}};
  for (int32_t host = 0; host < 8; ++host) {
    rows[2].set.messages.push_back({host, 8, kMegabyte, 0});
    rows[3].set.messages.push_back({host, (host + 1) % 8, kMegabyte, 0});
  }
  NetworkShape::Racks& racks = rows[5].set.shape.racks.emplace();
  racks.workers_each = 4;
  racks.uplink = kGigabit;
  return rows;
}

double LastMs(const std::vector<double>& arrived) {
  return *std::max_element(arrived.begin(), arrived.end()) / 1e6;
}

TEST(SimulationPage, ItsTableOfSimGridIsWhatTheModelsSay) {
  std::ifstream file("docs/results/simulation.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (const Row& row : Rows()) {
    const auto plain = PlayInSimGrid(row.set, SimGridModel::kPlain);
    const auto by_default = PlayInSimGrid(row.set, SimGridModel::kDefault);
    ASSERT_TRUE(plain.ok() && by_default.ok()) << plain.status() << by_default.status();
    EXPECT_THAT(page, testing::HasSubstr(absl::StrFormat("| %s | %.3f | %.3f | %.3f |\n", row.name,
                                                         LastMs(PlayInFlowNetwork(row.set)),
                                                         LastMs(*plain), LastMs(*by_default))));
  }
}

}  // namespace
}  // namespace ringmaster
