// docs/THEORY.md: which rates late gradients allow. Everything descends on f(x) = x^2 / 2, whose
// gradient is x.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/update/update_rule.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/docs/theory_page.h"

namespace ringmaster {
namespace {

using Doubles = std::vector<double>;

// The law of a delay: its probabilities, from delay 0 on.
Doubles LawOf(const std::string& name) {
  if (name.rfind("constant", 0) == 0) {
    Doubles law(static_cast<size_t>(NumberIn(name)) + 1, 0);
    law.back() = 1;
    return law;
  }
  if (name.rfind("uniform", 0) == 0) {
    const auto values = static_cast<size_t>(std::stoi(name.substr(name.find("..") + 2))) + 1;
    return Doubles(values, 1.0 / static_cast<double>(values));
  }
  EXPECT_EQ(name.rfind("geometric", 0), 0u) << name;
  const double stays = NumberIn(name) / (1 + NumberIn(name));
  Doubles law;
  for (double p = 1 - stays; law.size() < 70; p *= stays) law.push_back(p);
  return law;
}

// x[t+1] = x[t] - h x[t-D], with D drawn anew in every step: whether E x goes to 0.
bool IsStableInTheMean(const Doubles& law, double h) {
  Doubles polynomial(law.size() + 1, 0);
  polynomial[0] = 1;
  polynomial[1] = -1;
  for (size_t delay = 0; delay < law.size(); ++delay) polynomial[delay + 1] += h * law[delay];
  return IsStablePolynomial(std::move(polynomial));
}

// Whether E x^2 does: the largest growth of the moments E x[t-i] x[t-j], by iteration.
bool IsStableInTheMeanSquare(const Doubles& law, double h) {
  const size_t n = law.size();
  std::vector<Doubles> moments(n, Doubles(n, 0));
  for (size_t i = 0; i < n; ++i) moments[i][i] = 1;
  constexpr int kSteps = 500;
  double growth = 0;  // logarithm, of the last half
  for (int step = 0; step < kSteps; ++step) {
    Doubles row(n, 0);  // E x[t+1] x[t-j]
    for (size_t j = 0; j < n; ++j) {
      for (size_t k = 0; k < n; ++k) row[j] += law[k] * moments[k][j];
      row[j] = moments[0][j] - h * row[j];
    }
    double square = moments[0][0];
    for (size_t k = 0; k < n; ++k)
      square += law[k] * (h * h * moments[k][k] - 2 * h * moments[0][k]);
    for (size_t i = n - 1; i > 0; --i) {
      for (size_t j = n - 1; j > 0; --j) moments[i][j] = moments[i - 1][j - 1];
    }
    moments[0][0] = square;
    for (size_t j = 1; j < n; ++j) moments[0][j] = moments[j][0] = row[j - 1];
    double size = 0;
    for (size_t i = 0; i < n; ++i) size += moments[i][i];
    if (size == 0) return true;
    if (step >= kSteps / 2) growth += std::log(size);
    for (Doubles& each : moments) {
      for (double& moment : each) moment /= size;
    }
  }
  return growth < 0;
}

TEST(Theory, TheLawOfTheDelayDecidesWhichRateIsStable) {
  for (const auto& row : TableOf("Stale gradients")) {
    SCOPED_TRACE(row[0]);
    const Doubles law = LawOf(row[0]);
    ExpectCell(row[1], EdgeOf([&](double h) { return IsStableInTheMean(law, h); }));
    if (row[0].rfind("constant", 0) == 0) {
      EXPECT_EQ(row[2], row[1]);  // nothing is drawn
      const double delay = NumberIn(row[0]);
      ExpectCell(row[1], 2 * std::sin(M_PI / (2 * (2 * delay + 1))));
    } else {
      ExpectCell(row[2], EdgeOf([&](double h) { return IsStableInTheMeanSquare(law, h); }, 0.1));
    }
  }
}

// Arrivals at random: E x^2, E x w, E w^2 and E w v of the weights x and two workers' copies.
bool IsStableAtRandom(double workers, double h) {
  const double a = h / workers, p = 1 / workers;
  double xx = 1, xw = 1, ww = 1, wv = 1, growth = 0;
  for (int step = 0; step < 4000; ++step) {
    const double new_xx = xx - 2 * a * xw + a * a * ww;
    const double others = xw - a * wv;  // E x' w of a worker that did not come
    const double new_wv = 2 * p * others + (1 - 2 * p) * wv;
    xw = p * new_xx + (1 - p) * others;
    ww = p * new_xx + (1 - p) * ww;
    xx = new_xx;
    wv = new_wv;
    const double size = xx + ww;
    if (step >= 2000) growth += std::log(size);
    xx /= size, xw /= size, ww /= size, wv /= size;
  }
  return growth < 0;
}

TEST(Theory, AsynchronousWorkersAllowMoreAtRandomThanInTurn) {
  for (const auto& row : TableOf("Asynchronous workers")) {
    SCOPED_TRACE(row[0]);
    const double n = NumberIn(row[0]);
    Doubles law(static_cast<size_t>(n), 0);
    law.back() = 1;  // in turn: the copy is N - 1 arrivals old
    ExpectCell(row[1], n * EdgeOf([&](double h) { return IsStableInTheMean(law, h); }));
    ExpectCell(row[2], EdgeOf([&](double h) { return IsStableAtRandom(n, h); }));
    ExpectCell(row[2], (1 + std::sqrt(1 + 8 * n)) / 2);
  }
}

// Who arrives, one after the other, where step times have a gamma law.
std::vector<int> Arrivals(int workers, double deviation, size_t count) {
  std::mt19937_64 random(7);
  const double shape = 1 / (deviation * deviation);
  std::gamma_distribution<double> time(shape, 1 / shape);
  Doubles next(workers);
  for (double& each : next) each = time(random);
  std::vector<int> arrivals(count);
  for (int& arrival : arrivals) {
    arrival = static_cast<int>(std::min_element(next.begin(), next.end()) - next.begin());
    next[arrival] += time(random);
  }
  return arrivals;
}

// Whether almost every path goes to 0.
bool PathVanishes(const std::vector<int>& arrivals, int workers, double h) {
  double x = 1, growth = 0;
  Doubles copies(workers, 1.0);
  for (size_t i = 0; i < arrivals.size(); ++i) {
    double& copy = copies[arrivals[i]];
    x -= h / workers * copy;
    copy = x;
    if (i % 64 > 0) continue;
    double size = std::abs(x);
    for (const double each : copies) size += std::abs(each);
    growth += std::log(size);
    x /= size;
    for (double& each : copies) each /= size;
  }
  return growth < 0;
}

TEST(Theory, StepTimesThatVaryAllowMore) {
  constexpr int kWorkers = 4;
  for (const auto& row : TableOf("Step times that vary")) {
    SCOPED_TRACE(row[0]);
    const std::vector<int> arrivals = Arrivals(kWorkers, NumberIn(row[0]), 600'000);
    ExpectCell(row[1], EdgeOf([&](double h) { return PathVanishes(arrivals, kWorkers, h); }, 1.5),
               2.5);
  }
}

bool IsStableWithMomentum(double momentum, size_t delay, double h) {
  Doubles polynomial(std::max<size_t>(delay, 1) + 2, 0);
  polynomial[0] = 1;
  polynomial[1] = -(1 + momentum);
  polynomial[2] = momentum;
  polynomial[delay + 1] += h;
  return IsStablePolynomial(std::move(polynomial));
}

// The project's own rule: whether it brings a weight towards 0 with gradients `delay` steps old.
bool RuleVanishes(double momentum, size_t delay, double rate) {
  OptimizerSpec spec;
  spec.set_name("momentum");
  spec.set_learning_rate(rate);
  spec.set_momentum(momentum);
  spec.set_weight_decay(0);
  UpdateScope scope;
  scope.count = 1;
  const auto rule = CreateUpdateRule(spec, scope);
  EXPECT_TRUE(rule.ok()) << rule.status();
  if (!rule.ok()) return false;
  std::vector<float> weight = {1}, past(delay + 1, 1.0f);
  bool vanishes = true;
  for (int64_t step = 0; step < 3000; ++step) {
    const float gradient[] = {past.front()};
    (*rule)->Apply({0, step, step}, gradient, absl::MakeSpan(weight));
    past.erase(past.begin());
    past.push_back(weight[0]);
    if (step >= 2900) vanishes = vanishes && std::abs(weight[0]) < 1e-2;
  }
  return vanishes;
}

TEST(Theory, MomentumLeavesLittleRoomForDelay) {
  for (const auto& row : TableOf("Momentum under delay")) {
    SCOPED_TRACE(row[0]);
    const auto delay = static_cast<size_t>(NumberIn(row[0]));
    const double momenta[] = {0, 0.5, 0.9};
    for (size_t i = 0; i < 3; ++i) {
      const double edge =
          EdgeOf([&](double h) { return IsStableWithMomentum(momenta[i], delay, h); });
      ExpectCell(row[i + 1], edge);
      EXPECT_TRUE(RuleVanishes(momenta[i], delay, 0.93 * edge)) << momenta[i];
      EXPECT_FALSE(RuleVanishes(momenta[i], delay, 1.07 * edge)) << momenta[i];
    }
    ExpectCell(row[4],
               (delay + 1) * EdgeOf([&](double h) { return IsStableWithMomentum(0.9, delay, h); }));
  }
}

// v = m v + c x[t-D]; x -= r (c x[t-D] + m v), with r = 0.7 and m = 0.9.
bool IsStableOuterNesterov(size_t late, double share) {
  constexpr double kRate = 0.7, kMomentum = 0.9;
  Doubles polynomial(late + 3, 0);
  polynomial[0] = 1;
  polynomial[1] = -(1 + kMomentum);
  polynomial[2] = kMomentum;
  polynomial[late + 1] += kRate * share * (1 + kMomentum);
  polynomial[late + 2] -= kRate * share * kMomentum;
  return IsStablePolynomial(std::move(polynomial));
}

TEST(Theory, AnOuterNesterovStepThatIsLateAllowsSmallInnerProgressOnly) {
  for (const auto& row : TableOf("Outer Nesterov")) {
    SCOPED_TRACE(row[0]);
    const auto late = static_cast<size_t>(NumberIn(row[0]));
    ExpectCell(row[1], EdgeOf([&](double share) { return IsStableOuterNesterov(late, share); }));
  }
}

TEST(Theory, DelayCompensationBreaksRunsThatStartFarAway) {
  constexpr double kRate = 0.9;
  for (const auto& row : TableOf("Delay compensation")) {
    SCOPED_TRACE(row[0]);
    const auto end = [&](double lambda) {
      double before = NumberIn(row[0]), x = before;
      for (int step = 0; step < 1000 && std::abs(x) < 1e6; ++step) {
        const double gradient = before + lambda * before * before * (x - before);
        before = x;
        x -= kRate * gradient;
      }
      return std::abs(x) < 1e-3 ? "converges" : "diverges";
    };
    EXPECT_EQ(row[1], end(0));
    EXPECT_EQ(row[2], end(1));
  }
}

}  // namespace
}  // namespace ringmaster
