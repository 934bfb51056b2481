// A step's time on a shaped network with emulated computing is what the formulae say. Nothing
// overlaps in these runs: one bucket, which is finished when backward is.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/cluster/shaped_run.h"

namespace ringmaster {
namespace {

constexpr double kComputeMs = 20;

struct Setting {
  int workers;
  int megabits_per_second;
};

class StepTime : public testing::TestWithParam<Setting> {};

// Runs `arms` as MedianSteps does and holds each step's time, in milliseconds, against `expected`,
// within a tenth. Other programs on this machine only ever add time: an arm that took too long runs
// again, twice at most, and its shortest counts.
void ExpectSteps(const std::map<std::string, double>& expected,
                 const std::vector<std::string>& more) {
  const auto is_too_long = [](double took, double wanted) { return took > 1.1 * wanted; };
  std::map<std::string, double> shortest;
  std::vector<std::string> arms;
  for (const auto& [arm, milliseconds] : expected) arms.push_back(arm);
  for (int run = 0; run < 3 && !arms.empty(); ++run) {
    const std::map<std::string, double> steps = MedianSteps(absl::StrJoin(arms, ","), more);
    ASSERT_EQ(steps.size(), arms.size());
    arms.clear();
    for (const auto& [arm, milliseconds] : steps) {
      double& least = shortest.emplace(arm, milliseconds).first->second;
      least = std::min(least, milliseconds);
      if (is_too_long(least, expected.at(arm))) arms.push_back(arm);
    }
  }
  for (const auto& [arm, milliseconds] : expected) {
    EXPECT_NEAR(shortest.at(arm) / milliseconds, 1, 0.1)
        << arm << ": " << shortest.at(arm) << " ms, expected " << milliseconds;
  }
}

TEST_P(StepTime, IsComputePlusTheFormulaOfTheScheme) {
  const auto [workers, megabits_per_second] = GetParam();
  const double n = workers;
  const double whole_ms = kLenetBytes * 8 / (megabits_per_second * 1e3);
  ExpectSteps(
      {{"solo", kComputeMs},
       {"ps",
        kComputeMs + 2 * n * whole_ms},  // all pushes, then all weights, through the server's card
       {"ps-sharded", kComputeMs + 2 * (n - 1) / n * whole_ms},  // a server beside every worker
       {"ring", kComputeMs + 2 * (n - 1) / n * whole_ms}},
      {"--workers", absl::StrCat(workers), "--network", absl::StrCat(megabits_per_second, "mbit"),
       "--emulate", absl::StrCat(kComputeMs), "--steps", "9", "--set", "training.warmup_steps=2",
       "--set", "training.emulated_compute.backward_share=0", "--set",
       "training.bucket_bytes=4000000"});
}

INSTANTIATE_TEST_SUITE_P(Rates, StepTime,
                         testing::Values(Setting{2, 1000}, Setting{4, 1000}, Setting{2, 100}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.workers, "workers",
                                               info.param.megabits_per_second, "mbit");
                         });

TEST(Latency, ComesOnceForEveryMessageThatAnotherWaitsFor) {
  ExpectSteps({{"ps", 5 + 2 * 20}, {"ring", 5 + 6 * 20}},  // 2(N-1) rounds
              {"--workers", "4", "--network", "20ms", "--emulate", "5", "--steps", "9", "--set",
               "training.warmup_steps=2", "--set", "training.bucket_bytes=4000000"});
}

// Two racks of two workers with cards of 1 Gbit/s, and uplinks of a tenth: what the uplinks carry
// is nearly all of a step.
constexpr double kUplinkMs = kLenetBytes * 8 / 100e3;  // the whole model over one of them
constexpr double kCardMs = kLenetBytes * 8 / 1000e3;
constexpr double kLateMs = 1;  // each message between racks

std::vector<std::string> InRacks(const std::string& servers_sit) {
  return {"--workers", "4",
          "--network", absl::StrCat("1gbit,racks:2:100mbit:1ms", servers_sit),
          "--emulate", absl::StrCat(kComputeMs),
          "--steps",   "6",
          "--set",     "training.warmup_steps=1",
          "--set",     "training.emulated_compute.backward_share=0",
          "--set",     "training.bucket_bytes=4000000"};
}

// The ring crosses the racks in each of its 6 rounds, a quarter of the model at a time. Of groups
// that are the racks every rank brings half of the model together inside, a quarter across and a
// quarter back, together with its neighbour, and takes half inside again.
TEST(Racks, GroupsThatAreTheRacksSendLessOverTheUplinksThanTheRing) {
  const double ring = kComputeMs + 6 * (kUplinkMs / 4) + kLateMs;
  const double hierarchical = kComputeMs + 2 * (2 * kUplinkMs / 4 + kLateMs) + 2 * (kCardMs / 2);
  ASSERT_LT(1.1 * hierarchical, 0.9 * ring);  // so that the bounds alone say who wins
  ExpectSteps({{"ring", ring}, {"hierarchical", hierarchical}}, InRacks(""));
}

// Two servers, half of the model each. One in each rack: two workers push half of it over their
// rack's uplink, and as much comes back. Both in the first: the other rack's workers push all of
// it.
TEST(Racks, ServersThatAllSitInTheFirstHaveTheirUplinkCarryTwiceTheBytes) {
  const auto expect = [](const std::string& servers_sit, double models) {
    std::vector<std::string> more = InRacks(servers_sit);
    more.insert(more.end(), {"--servers", "2"});
    ExpectSteps({{"ps", kComputeMs + 2 * (models * kUplinkMs + kLateMs)}}, more);
  };
  expect("", 1);
  expect(":first", 2);
}

}  // namespace
}  // namespace ringmaster
