// docs/THEORY.md: what compression loses. Codecs and error feedback that the project has are run.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/codec/codec.h"
#include "common/codec/error_feedback.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/docs/theory_page.h"

namespace ringmaster {
namespace {

using Doubles = std::vector<double>;

double Energy(const Doubles& values) {
  double energy = 0;
  for (const double value : values) energy += value * value;
  return energy;
}

// The variance of QSGD's rounding of `values` to `levels` of `scale`, relative to their energy.
double VarianceOf(const Doubles& values, double scale, double levels) {
  double variance = 0;
  for (const double value : values) {
    const double level = std::abs(value) / scale * levels;
    const double up = level - std::floor(level);  // the probability of rounding up
    variance += up * (1 - up);
  }
  return variance * scale * scale / (levels * levels) / Energy(values);
}

TEST(Theory, QsgdsVarianceIsBelowItsBoundAndFarBelowWithTheLargestAsScale) {
  constexpr int kCount = 512, kTrials = 2000;
  for (const auto& row : TableOf("QSGD")) {
    SCOPED_TRACE(row[0]);
    const double levels = NumberIn(row[0]);
    Random random(3);
    Doubles values(kCount);
    double by_norm = 0, by_largest = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      double largest = 0;
      for (double& value : values) {
        value = random.Normal();
        largest = std::max(largest, std::abs(value));
      }
      by_norm += VarianceOf(values, std::sqrt(Energy(values)), levels) / kTrials;
      by_largest += VarianceOf(values, largest, levels) / kTrials;
    }
    ExpectCell(row[1], by_norm, kDrawn);
    ExpectCell(row[2], std::min(kCount / (levels * levels), std::sqrt(kCount) / levels));
    ExpectCell(row[3], by_largest, kDrawn);
  }
}

std::unique_ptr<Codec> CodecOf(const std::string& name, double density) {
  CodecSpec spec;
  spec.set_name(name);
  if (density > 0) spec.set_density(density);
  SetCodecDefaults(&spec);
  auto codec = CreateCodec(spec);
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

// The energy of error feedback's memory over the gradient's, after `burn_in` steps, on the mean of
// as many more: with a Gaussian gradient drawn anew in every step, or the same one.
double MemoryEnergy(const Codec& codec, int burn_in, bool is_fresh) {
  constexpr size_t kCount = 20'000;
  Random random(5);
  std::vector<float> pool(4 * kCount + 65'536);
  for (float& value : pool) value = random.Normal();
  ErrorFeedback memory(codec, kCount);
  std::vector<std::byte> encoded(codec.MaxEncodedBytes(kCount));
  double energy = 0;
  for (int step = 0; step < 2 * burn_in; ++step) {
    const size_t begin = is_fresh ? random.Below(pool.size() - kCount) : 0;
    const auto gradient = absl::MakeConstSpan(pool).subspan(begin, kCount);
    memory.Encode({1, step, 0}, 0, gradient, absl::MakeSpan(encoded));
    if (step < burn_in || step % 16 > 0) continue;
    double kept = 0, all = 0;
    for (const float value : memory.residual()) kept += static_cast<double>(value) * value;
    for (const float value : gradient) all += static_cast<double>(value) * value;
    energy += kept / all * 16 / burn_in;
  }
  return energy;
}

TEST(Theory, ErrorFeedbackRemembersManyGradients) {
  for (const auto& row : TableOf("Error feedback's memory")) {
    SCOPED_TRACE(row[0] + " " + row[1]);
    const double share = row[1] == "-" ? 0 : NumberIn(row[1]) / 100;
    if (row[0] == "random-k") {
      // Every element is sent, and forgotten, with probability p: e = (1 - p) (e + 1).
      ExpectCell(row[2], (1 - share) / share);
      continue;
    }
    const bool is_same = row[0] == "topk, the same gradient";
    const auto codec = CodecOf(row[0].substr(0, row[0].find(',')), share);
    const int burn_in = share > 0 ? static_cast<int>((is_same ? 100 : 3) / share) + 500 : 500;
    const double energy = MemoryEnergy(*codec, burn_in, !is_same);
    EXPECT_NEAR(energy, NumberIn(row[2]), 0.02 * energy);  // the drawing's noise
    if (row[0] == "topk") {
      EXPECT_LT(energy, 4 * (1 - share) / (share * share));
    }
  }
}

// The share of its energy that PowerSGD of rank r leaves of a diagonal matrix with the spectrum
// 1/i after each step: an orthogonal change of basis would change nothing.
class PowerIteration {
 public:
  PowerIteration(int rank, uint64_t seed) : rank_(rank), q_(rank, Doubles(kSize)) {
    Random random(seed);
    for (Doubles& column : q_) {
      for (double& value : column) value = random.Normal();
    }
  }

  // p = M q, orthonormal; q = M p. Returns the norm of M - p q, relative to M's.
  double Step() {
    double kept = 0, all = 0;
    for (int r = 0; r < rank_; ++r) {
      Doubles& column = q_[r];
      for (int i = 0; i < kSize; ++i) column[i] /= i + 1;
    }
    for (int r = 0; r < rank_; ++r) {
      for (int before = 0; before < r; ++before) {
        double dot = 0;
        for (int i = 0; i < kSize; ++i) dot += q_[r][i] * q_[before][i];
        for (int i = 0; i < kSize; ++i) q_[r][i] -= dot * q_[before][i];
      }
      const double norm = std::sqrt(Energy(q_[r]));
      for (double& value : q_[r]) value /= norm;
    }
    for (int r = 0; r < rank_; ++r) {
      for (int i = 0; i < kSize; ++i) q_[r][i] /= i + 1;
      kept += Energy(q_[r]);
    }
    for (int i = 0; i < kSize; ++i) all += 1.0 / (i + 1) / (i + 1);
    return std::sqrt((all - kept) / all);
  }

  static double Best(int rank) {
    double left = 0, all = 0;
    for (int i = kSize; i > 0; --i) {
      all += 1.0 / i / i;
      if (i > rank) left = all;
    }
    return std::sqrt(left / all);
  }

 private:
  static constexpr int kSize = 256;
  const int rank_;
  std::vector<Doubles> q_;  // by column
};

TEST(Theory, PowerSgdWithAWarmStartIsNearlyBestAfterAFewSteps) {
  constexpr int kTrials = 1500;
  for (const auto& row : TableOf("PowerSGD")) {
    SCOPED_TRACE(row[0]);
    const int rank = static_cast<int>(NumberIn(row[0]));
    const double best = PowerIteration::Best(rank);
    Doubles first;
    std::vector<int> steps;
    for (int trial = 0; trial < kTrials; ++trial) {
      PowerIteration iteration(rank, trial);
      first.push_back(iteration.Step());
      int step = 1;
      for (double error = first.back(); error > 1.01 * best; ++step) error = iteration.Step();
      steps.push_back(step);
    }
    std::sort(steps.begin(), steps.end());
    std::sort(first.begin(), first.end());
    ExpectCell(row[1], best);
    ExpectCell(row[2], first[kTrials / 2] / best, kDrawn);
    ExpectCell(row[3], steps[kTrials / 2]);
    ExpectCell(row[4], steps[kTrials * 95 / 100]);
  }
}

// Bits of an index of top-k, of which a share p is kept: the entropy of a gap, and the best Rice
// code's mean length.
TEST(Theory, IndicesOfTopkTakeMoreBitsThanTheyNeed) {
  for (const auto& row : TableOf("Indices of top-k")) {
    SCOPED_TRACE(row[0]);
    const double p = NumberIn(row[0]) / 100;
    ExpectCell(row[1], (-p * std::log2(p) - (1 - p) * std::log2(1 - p)) / p);
    double best = 64;
    for (int low = 0; low < 32; ++low) {
      // low bits, a stop bit, and one more for each 2^low that the gap holds.
      const double step = std::pow(1 - p, std::ldexp(1, low));
      best = std::min(best, low + 1 + step / (1 - step));
    }
    ExpectCell(row[2], best);
  }
}

}  // namespace
}  // namespace ringmaster
