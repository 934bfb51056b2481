// docs/THEORY.md: averages of models, slow workers, rounding and gossip.
#include <algorithm>
#include <cmath>
#include <complex>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/docs/theory_page.h"

namespace ringmaster {
namespace {

using Doubles = std::vector<double>;

TEST(Theory, LocalSgdStopsElsewhereTheLongerItGoesAlone) {
  // Worker i has f = c (x - m)^2 / 2 with (c, m) = (1, 0) and (3, 1), and does H steps of rate 0.1.
  constexpr double kRate = 0.1, kCurvatures[] = {1, 3}, kMinima[] = {0, 1};
  for (const auto& row : TableOf("Local SGD")) {
    SCOPED_TRACE(row[0]);
    double average = 0;
    for (int round = 0; round < 5000; ++round) {
      double sum = 0;
      for (int worker = 0; worker < 2; ++worker) {
        double x = average;
        for (int step = 0; step < NumberIn(row[0]); ++step)
          x -= kRate * kCurvatures[worker] * (x - kMinima[worker]);
        sum += x;
      }
      average = sum / 2;
    }
    ExpectCell(row[1], average);
    // With one curvature and gradients of variance 1: the variance of the average of four, which
    // are in step after each averaging. `all`: of one worker's x; `shared`: of any two.
    double all = 0, shared = 0;
    for (int step = 1; step <= 5000; ++step) {
      all = (1 - kRate) * (1 - kRate) * all + kRate * kRate;
      shared = (1 - kRate) * (1 - kRate) * shared;
      if (step % static_cast<int>(NumberIn(row[0])) == 0) all = shared = (all + 3 * shared) / 4;
    }
    ExpectCell(row[2], (all + 3 * shared) / 4);
  }
}

double Phi(double z) { return std::erfc(-z / M_SQRT2) / 2; }

// E of the k-th smallest of n lognormal times, over E of one.
double OrderStatistic(int k, int n, double sigma) {
  constexpr double kStep = 1.0 / 512;
  const double log_count = std::lgamma(n + 1) - std::lgamma(k) - std::lgamma(n - k + 1);
  double sum = 0;
  for (double z = -9; z < 12; z += kStep) {
    const double below = Phi(z), above = Phi(-z);
    if (below <= 0 || above <= 0) continue;
    sum += std::exp(log_count + (k - 1) * std::log(below) + (n - k) * std::log(above) - z * z / 2 +
                    sigma * z);
  }
  return sum * kStep / std::sqrt(2 * M_PI) / std::exp(sigma * sigma / 2);
}

TEST(Theory, TheSlowestOfManyIsSlow) {
  for (const auto& row : TableOf("The slowest of N")) {
    SCOPED_TRACE(row[0]);
    const int n = static_cast<int>(NumberIn(row[0]));
    const double sigmas[] = {0.1, 0.3, 1};
    for (int i = 0; i < 3; ++i) ExpectCell(row[i + 1], OrderStatistic(n, n, sigmas[i]));
  }
}

TEST(Theory, BackupWorkersPayUpToAPoint) {
  constexpr int kWorkers = 64;
  const auto gain = [](int backups, double sigma) {
    const int waited = kWorkers - backups;
    return OrderStatistic(kWorkers, kWorkers, sigma) / OrderStatistic(waited, kWorkers, sigma) *
           waited / kWorkers;
  };
  for (const auto& row : TableOf("Backup workers")) {
    SCOPED_TRACE(row[0]);
    const int backups = static_cast<int>(NumberIn(row[0]));
    ExpectCell(row[1], gain(backups, 0.1));
    ExpectCell(row[2], gain(backups, 0.3));
  }
  // What the text says of the best.
  for (int other = 0; other < 20; ++other) {
    EXPECT_LE(gain(other, 0.1), gain(2, 0.1));
    EXPECT_LE(gain(other, 0.3), gain(10, 0.3));
  }
}

// Sums in a narrow format, all of whose partial sums are rounded.
float RoundToFloat(double x) { return static_cast<float>(x); }
float RoundToHalf(double x) {
  const float in[] = {static_cast<float>(x)};  // exact: it is a sum of two halves
  uint16_t half[1];
  float out[1];
  ToFloat16(in, half);
  FromFloat16(half, out);
  return out[0];
}
float RoundToBfloat(double x) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8));
}

template <typename Round>
double InTurn(const std::vector<float>& values, const Round& round) {
  float sum = 0;
  for (const float value : values) sum = round(static_cast<double>(sum) + value);
  return sum;
}
template <typename Round>
double InPairs(std::vector<float> values, const Round& round) {
  for (; values.size() > 1; values.resize(values.size() / 2)) {
    for (size_t i = 0; i < values.size() / 2; ++i)
      values[i] = round(static_cast<double>(values[2 * i]) + values[2 * i + 1]);
  }
  return values[0];
}

// Sums of `count` numbers that `draw` gives, in both orders: the root mean square of the error over
// that of the sum, and the mean of sum / true sum.
struct SumErrors {
  double turn = 0, pairs = 0, turn_mean = 0, pairs_mean = 0;
};
template <typename Round, typename Draw>
SumErrors ErrorsOf(int count, int trials, const Round& round, const Draw& draw) {
  SumErrors errors;
  std::vector<float> values(count);
  double squares = 0;
  for (int trial = 0; trial < trials; ++trial) {
    double exact = 0;
    for (float& value : values) exact += value = round(draw());
    const double turn = InTurn(values, round), pairs = InPairs(values, round);
    squares += exact * exact;
    errors.turn += (turn - exact) * (turn - exact);
    errors.pairs += (pairs - exact) * (pairs - exact);
    errors.turn_mean += turn / exact / trials;
    errors.pairs_mean += pairs / exact / trials;
  }
  errors.turn = std::sqrt(errors.turn / squares);
  errors.pairs = std::sqrt(errors.pairs / squares);
  return errors;
}

TEST(Theory, SumsInPairsRoundLess) {
  for (const auto& row : TableOf("Rounding of sums")) {
    SCOPED_TRACE(row[0] + " " + row[1]);
    const int count = static_cast<int>(NumberIn(row[1]));
    const int trials = row[0] == "float32" ? 4'000'000 / count : 1'000'000 / count;
    Random random(11);
    const auto draw = [&random] { return random.Normal(); };
    const SumErrors errors = row[0] == "float32" ? ErrorsOf(count, trials, RoundToFloat, draw)
                                                 : ErrorsOf(count, trials, RoundToHalf, draw);
    const double unit = row[0] == "float32" ? std::ldexp(1, -24) : std::ldexp(1, -11);
    ExpectCell(row[2], errors.turn / unit, 8);
    ExpectCell(row[3], errors.pairs / unit, 4);
  }
}

TEST(Theory, LongSumsInBfloat16Stop) {
  for (const auto& row : TableOf("Sums in bfloat16")) {
    SCOPED_TRACE(row[0]);
    Random random(11);
    const SumErrors errors = ErrorsOf(static_cast<int>(NumberIn(row[0])), 200, RoundToBfloat,
                                      [&random] { return std::abs(random.Normal()); });
    ExpectCell(row[1], errors.turn_mean, kDrawn);
    ExpectCell(row[2], errors.pairs_mean, kDrawn);
  }
}

TEST(Theory, ElasticAveragingCostsRateWhereTheSpringIsStiff) {
  for (const auto& row : TableOf("Elastic averaging")) {
    const double center_share = NumberIn(row[0]);
    const int counts[] = {4, 16, 64};
    for (int column = 0; column < 3; ++column) {
      const double alpha = center_share / counts[column];
      // Average y of the workers and center c: y' = (1 - h - alpha) y + alpha c, and c' = Nalpha y
      // + (1 - Nalpha) c. What workers differ by shrinks by 1 - h - alpha.
      const auto is_stable = [&](double h) {
        const double own = 1 - h - alpha;
        return std::abs(own) < 1 &&
               IsStablePolynomial(
                   {1, -(own + 1 - center_share), own * (1 - center_share) - alpha * center_share});
      };
      ExpectCell(row[column + 1], EdgeOf(is_stable));
    }
  }
}

TEST(Theory, GossipOnARingIsSlow) {
  for (const auto& row : TableOf("Gossip on a ring")) {
    SCOPED_TRACE(row[0]);
    const auto n = static_cast<size_t>(NumberIn(row[0]));
    // The slowest way to differ from the mean: one wave around the ring.
    Doubles values(n);
    for (size_t i = 0; i < n; ++i) values[i] = std::cos(2 * M_PI * i / n);
    int rounds = 0;
    for (; values[0] > 0.01; ++rounds) {
      const Doubles before = values;
      for (size_t i = 0; i < n; ++i)
        values[i] = (before[(i + n - 1) % n] + before[i] + before[(i + 1) % n]) / 3;
    }
    ExpectCell(row[1], rounds);
  }
}

TEST(Theory, OnePeerExponentialGossipIsExactAtPowersOfTwoOnly) {
  for (const auto& row : TableOf("Gossip with one peer")) {
    SCOPED_TRACE(row[0]);
    const auto n = static_cast<size_t>(NumberIn(row[0]));
    // Wave j is an eigenvector of every round: what is left of it after a cycle.
    double most = 0;
    int rounds = 0;
    for (size_t wave = 1; wave < n; ++wave) {
      std::complex<double> left = 1;
      rounds = 0;
      for (size_t hop = 1; hop < n; hop *= 2, ++rounds)
        left *= (1.0 + std::polar(1.0, 2 * M_PI * static_cast<double>(wave * hop) / n)) / 2.0;
      most = std::max(most, std::abs(left));
    }
    ExpectCell(row[1], rounds);
    ExpectCell(row[2], most);
  }
}

TEST(Theory, ConversionsToHalfRoundAsTheTableSays) {
  for (const auto& row : TableOf("Conversions to half")) {
    SCOPED_TRACE(row[0]);
    float in[1];
    if (row[0] == "a signalling NaN") {
      const uint32_t bits = 0x7F800001;
      static_assert(sizeof(bits) == sizeof(in));
      std::copy_n(reinterpret_cast<const char*>(&bits), sizeof(bits), reinterpret_cast<char*>(in));
    } else {
      in[0] = static_cast<float>(NumberIn(row[0]));
    }
    uint16_t half[1];
    ToFloat16(in, half);
    EXPECT_EQ(half[0], std::stoi(row[1], nullptr, 16));
  }
}

}  // namespace
}  // namespace ringmaster
