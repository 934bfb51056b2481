// What the presets say that schemes do to a step's time, as workers, latency, stragglers and
// compression change, holds: their own cells are run, on shaped networks with emulated computing.
// All are ratios in one block, at a pace that leaves the cores time to spare, so neither the
// machine's speed nor what else it does decides. Each is expected to be what a formula says of the
// preset's numbers, and its bound stands between that and what the opposite would give.
//
// With c a batch's time and w the weights' time through a card, a central server's step takes
// c + 2Nw, one of ring or sharded servers c + 2w(N-1)/N, and messages behind one another are late
// by the latency each.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/cluster/blocks.h"
#include "tests/cluster/ordering/preset_run.h"

namespace ringmaster {
namespace {

double ServerStep(const CellNumbers& cell) {
  return cell.compute_ms + 2 * cell.workers * cell.weights_ms + 2 * cell.latency_ms;
}

double ShardedStep(const CellNumbers& cell) {
  return cell.compute_ms + 2 * cell.weights_ms * (cell.workers - 1) / cell.workers +
         2 * cell.latency_ms;
}

double RingStep(const CellNumbers& cell) {
  return ShardedStep(cell) + (2 * (cell.workers - 1) - 2) * cell.latency_ms;
}

std::function<double(const Measured&)> Ratio(const std::string& above, const std::string& below) {
  return [=](const Measured& measured) { return measured.at(above) / measured.at(below); };
}

// A ratio that is expected to be `formula`, and less than half way, by ratio, to `opposite`.
Claim Expected(const std::string& above, const std::string& below, double formula,
               double opposite) {
  const double bound = std::sqrt(formula * opposite), other = formula * formula / bound;
  return {absl::StrCat(above, " over ", below), formula, std::min(bound, other),
          std::max(bound, other), Ratio(above, below)};
}

// A block that runs all cells that the claims are of.
std::function<Measured()> StepsOf(PresetRuns* preset, const std::vector<std::string>& cells) {
  return [=] {
    Measured measured;
    for (const std::string& cell : cells) measured[cell] = preset->Run(cell).step_ms;
    return measured;
  };
}

std::function<Measured()> RatesOf(PresetRuns* preset, const std::vector<std::string>& cells) {
  return [=] {
    Measured measured;
    for (const std::string& cell : cells) measured[cell] = preset->Run(cell).samples_per_second;
    return measured;
  };
}

TEST(PresetOrdering, CentralServersTimeGrowsWithTheWorkersAndTheRingsFlattens) {
  PresetRuns preset("ps_vs_ring_scaling");
  const auto cell = [](const char* arm, int workers) {
    return absl::StrCat("training.workers=", workers, " arm=", arm);
  };
  const auto server = [&](int workers) {
    return ServerStep(preset.NumbersOf(cell("ps", workers)));
  };
  const auto ring = [&](int workers) { return RingStep(preset.NumbersOf(cell("ring", workers))); };
  std::vector<std::string> cells;
  std::vector<Claim> claims;
  for (const int workers : {2, 4, 8, 16}) {
    cells.push_back(cell("ps", workers));
    cells.push_back(cell("ring", workers));
    if (workers == 2) continue;
    // Growth by the root of N would make it 1.41 times as long.
    claims.push_back(Expected(cell("ps", workers), cell("ps", workers / 2),
                              server(workers) / server(workers / 2), 1.41));
  }
  // Growth by log N would make the exchange 4 times as long.
  const double compute = preset.NumbersOf(cell("ring", 2)).compute_ms;
  claims.push_back(Expected(cell("ring", 16), cell("ring", 2), ring(16) / ring(2),
                            (compute + 4 * (ring(2) - compute)) / ring(2)));
  claims.push_back(Expected(cell("ps", 16), cell("ring", 16), server(16) / ring(16), 1));
  ExpectInBlocks(claims, StepsOf(&preset, cells));
}

TEST(PresetOrdering, ShardedServersBesideEveryWorkerTakeWhatTheRingTakesUntilMessagesAreLate) {
  PresetRuns preset("equal_bytes");
  const auto cell = [](const char* arm, const char* latency) {
    return absl::StrCat("transport.network.latency_ms=", latency, " training.workers=8 arm=", arm);
  };
  const std::vector<std::string> cells = {cell("ps-sharded", "0.1"), cell("ring", "0.1"),
                                          cell("ps-sharded", "10"), cell("ring", "10")};
  const CellNumbers early = preset.NumbersOf(cells[0]), late = preset.NumbersOf(cells[2]);
  // A ring that waited in each of its rounds for as long as a chunk takes: half as long again.
  ExpectInBlocks({Expected(cells[1], cells[0], RingStep(early) / ShardedStep(early), 1.5),
                  Expected(cells[3], cells[2], RingStep(late) / ShardedStep(late), 1)},
                 StepsOf(&preset, cells));
}

TEST(PresetOrdering, RingLosesToServersWhereEveryMessageIsLate) {
  PresetRuns preset("latency");
  const auto cell = [](const char* latency, const char* arm) {
    return absl::StrCat("transport.network.latency_ms=", latency, " arm=", arm);
  };
  const std::string ring = cell("50", "ring"), sharded = cell("50", "ps-sharded");
  const CellNumbers late = preset.NumbersOf(ring);
  const double rounds = RingStep(late) / ShardedStep(late);
  ExpectInBlocks({Expected(ring, sharded, rounds, 1),
                  Expected(ring, cell("50", "ps"), RingStep(late) / ServerStep(late), 1),
                  Expected(cell("50", "direct"), sharded, 1, rounds),
                  Expected(cell("0.1", "ring"), cell("0.1", "ps-sharded"), 1, rounds)},
                 StepsOf(&preset, preset.cells()));
}

TEST(PresetOrdering, StragglerCostsWhoWaitsForItAlone) {
  PresetRuns preset("straggler");
  const auto cell = [](const char* slowdowns, const char* arm) {
    return absl::StrCat("training.slowdowns=", slowdowns, " arm=", arm);
  };
  constexpr char kEven[] = "[]", kSlowed[] = "[{ranks: 1 factor: 4}]";
  std::vector<std::string> cells;
  std::vector<Claim> claims;
  const auto claim = [&](const char* arm, double formula, double opposite) {
    cells.push_back(cell(kEven, arm));
    cells.push_back(cell(kSlowed, arm));
    claims.push_back(Expected(cells.back(), cell(kEven, arm), formula, opposite));
  };
  // Samples/s. Three workers are as quick as before, one has a quarter of its rate: together 13
  // sixteenths. Who waits for it has a quarter.
  claim("ps", 0.25, 0.8125);
  claim("ring", 0.25, 0.8125);
  claim("async", 0.8125, 0.25);
  // The first three of a step make its update, straggler or not.
  claim("backup", 1, 0.25);
  ExpectInBlocks(claims, RatesOf(&preset, cells));
}

TEST(PresetOrdering, TopkWinsOnASlowNetworkAndLosesInSharedMemory) {
  PresetRuns preset("topk_pays");
  const std::string slow = "transport.name=tcp transport.network.megabits_per_second=100 arm=";
  const std::string fast = "transport.name=shm arm=";
  const CellNumbers cell = preset.NumbersOf(slow + "ring");
  // A hundredth of the elements, each with its index, gathered: a fiftieth of the ring's bytes.
  const double topk = cell.compute_ms + 0.02 * cell.weights_ms * (cell.workers - 1);
  // In shared memory all but computing is real and there is no formula: what is measured is about
  // 2.2, a draw 1.
  ExpectInBlocks({Expected(slow + "ring", slow + "ring-topk", RingStep(cell) / topk, 1),
                  {"ring-topk over ring in shared memory", 2.2, 1.2, 10,
                   Ratio(fast + "ring-topk", fast + "ring")}},
                 StepsOf(&preset, preset.cells()));
}

}  // namespace
}  // namespace ringmaster
