// Who averages with whom: the mixing matrices, how soon they agree, and the schedules that do it.
#include "common/collective/gossip.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Matrix = std::vector<double>;

constexpr GossipGraph kGraphs[] = {GossipGraph::kRing, GossipGraph::kOnePeerExponential};

Matrix Times(const Matrix& a, const Matrix& b, int32_t n) {
  Matrix product(a.size());
  for (int32_t i = 0; i < n; ++i) {
    for (int32_t k = 0; k < n; ++k) {
      for (int32_t j = 0; j < n; ++j) product[i * n + j] += a[i * n + k] * b[k * n + j];
    }
  }
  return product;
}

// All rounds once, the first first.
Matrix Cycle(GossipGraph graph, int32_t n) {
  Matrix product = MixingMatrix(graph, n, 0);
  for (int32_t round = 1; round < GossipRounds(graph, n); ++round)
    product = Times(MixingMatrix(graph, n, round), product, n);
  return product;
}

// What is left of a wave around the ranks after a cycle: the largest factor of all waves but the
// constant one. The matrices are circulant, so waves are all there is.
double LargestFactor(const Matrix& cycle, int32_t n) {
  double largest = 0;
  for (int32_t wave = 1; wave < n; ++wave) {
    double real = 0, imaginary = 0;
    for (int32_t j = 0; j < n; ++j) {
      const double angle = 2 * M_PI * wave * j / n;
      real += cycle[j] * std::cos(angle);
      imaginary += cycle[j] * std::sin(angle);
    }
    largest = std::max(largest, std::hypot(real, imaginary));
  }
  return largest;
}

int32_t RoundsToAHundredth(double factor) {
  return static_cast<int32_t>(std::ceil(std::log(100.0) / -std::log(factor)));
}

// Whether rows and columns of `matrix` sum to 1 and nothing is below 0.
bool IsDoublyStochastic(const Matrix& matrix, int32_t n) {
  for (int32_t i = 0; i < n; ++i) {
    double row = 0, column = 0;
    for (int32_t j = 0; j < n; ++j) {
      if (matrix[i * n + j] < 0) return false;
      row += matrix[i * n + j];
      column += matrix[j * n + i];
    }
    if (std::fabs(row - 1) > 1e-12 || std::fabs(column - 1) > 1e-12) return false;
  }
  return true;
}

TEST(Gossip, MatricesAreDoublyStochasticForOneToThirtyThreeRanks) {
  for (const GossipGraph graph : kGraphs) {
    for (int32_t n = 1; n <= 33; ++n) {
      for (int32_t round = 0; round < GossipRounds(graph, n); ++round) {
        const Matrix matrix = MixingMatrix(graph, n, round);
        EXPECT_TRUE(IsDoublyStochastic(matrix, n)) << n << " round " << round;
        // Every rank divides by the same count.
        std::set<size_t> counts;
        for (int32_t rank = 0; rank < n; ++rank)
          counts.insert(GossipSources(graph, n, round, rank).size());
        EXPECT_EQ(counts.size(), 1u) << n;
      }
    }
  }
}

TEST(Gossip, TheCheckFindsAMatrixWhoseColumnsDoNotSumToOne) {
  EXPECT_TRUE(IsDoublyStochastic({0.5, 0.5, 0.5, 0.5}, 2));
  EXPECT_FALSE(IsDoublyStochastic({1, 0, 0.5, 0.5}, 2));
}

TEST(Gossip, ARingOf8_16And64NeedsTheRoundsOfTheTheory) {
  const auto rounds = [](int32_t n) {
    return RoundsToAHundredth(LargestFactor(Cycle(GossipGraph::kRing, n), n));
  };
  EXPECT_EQ(rounds(8), 22);
  EXPECT_EQ(rounds(16), 89);
  EXPECT_EQ(rounds(64), 1433);
}

TEST(Gossip, OnePeerIsExactAfterACycleOnlyWhereThereAreAPowerOfTwoRanks) {
  for (int32_t n = 1; n <= 33; ++n) {
    const Matrix cycle = Cycle(GossipGraph::kOnePeerExponential, n);
    double largest = 0;
    for (const double entry : cycle) largest = std::max(largest, std::fabs(entry - 1.0 / n));
    EXPECT_EQ(largest < 1e-15, (n & (n - 1)) == 0) << n << ": " << largest;
  }
  const auto factor = [](int32_t n) {
    return LargestFactor(Cycle(GossipGraph::kOnePeerExponential, n), n);
  };
  EXPECT_NEAR(factor(6), 0.2165, 5e-5);
  EXPECT_NEAR(factor(12), 0.2091, 5e-5);
}

// Each schedule's messages are the matrix: who is added at whom, once, and every send is awaited.
TEST(Gossip, SchedulesSendWhatTheMatrixTakes) {
  for (const GossipGraph graph : kGraphs) {
    for (int32_t n = 1; n <= 9; ++n) {
      std::set<std::string> names;
      for (int32_t round = 0; round < GossipRounds(graph, n); ++round) {
        const auto schedule = CreateGossipSchedule(graph, round);
        names.emplace(schedule->name());
        const Matrix matrix = MixingMatrix(graph, n, round);
        std::multiset<std::pair<int32_t, int32_t>> sent, added, expected;
        for (int32_t rank = 0; rank < n; ++rank) {
          for (const Step& step : schedule->StepsOf(rank, n)) {
            EXPECT_EQ(step.chunk_count, n);
            if (step.op == Step::Op::kSend) sent.emplace(step.peer, rank);
            if (step.op == Step::Op::kReceiveAdd) added.emplace(rank, step.peer);
          }
          for (int32_t from = 0; from < n; ++from) {
            if (from != rank && matrix[rank * n + from] > 0) expected.emplace(rank, from);
          }
        }
        EXPECT_EQ(sent, expected) << n << " round " << round;
        EXPECT_EQ(added, expected) << n << " round " << round;
      }
      // Plans are kept by the schedule's name.
      EXPECT_EQ(static_cast<int32_t>(names.size()), GossipRounds(graph, n));
    }
  }
}

}  // namespace
}  // namespace ringmaster
