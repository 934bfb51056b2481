#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/codec/powersgd_oracle.h"
#include "tests/common/codec/reducer_cluster.h"

namespace ringmaster {
namespace {

using Arena = ReducerCluster::Arena;
using testing::HasSubstr;

CodecSpec Spec(int32_t rank, bool error_feedback = true) {
  CodecSpec spec;
  spec.set_name("powersgd");
  spec.set_rank(rank);
  spec.set_error_feedback(error_feedback);
  return spec;
}

Param ParamOf(const std::string& name, std::vector<int64_t> shape) {
  Param param;
  param.name = name;
  param.shape = std::move(shape);
  return param;
}

ParamLayout LayoutOf(std::vector<Param> params, int64_t bucket_elements) {
  return ParamLayout(std::move(params), bucket_elements, BucketLayout::kWholeTensors);
}

// Matrices, a tensor of four dimensions, vectors, and a matrix too small to shrink, in two buckets.
ParamLayout MixedLayout() {
  return LayoutOf({ParamOf("head.weight", {10, 40}), ParamOf("head.bias", {10}),
                   ParamOf("conv.weight", {12, 3, 5, 5}), ParamOf("tiny.weight", {4, 3}),
                   ParamOf("conv.bias", {12}), ParamOf("body.weight", {30, 21})},
                  500);
}

// Gradients of all ranks, scaled by their number.
std::vector<Arena> Gradients(int64_t count, int32_t ranks, uint64_t seed) {
  Random random(seed);
  std::vector<Arena> gradients(ranks, Arena(count));
  for (Arena& gradient : gradients) {
    for (float& value : gradient) value = random.Normal() / static_cast<float>(ranks);
  }
  return gradients;
}

PowersgdOracle::Matrix Doubles(absl::Span<const float> values) {
  return {values.begin(), values.end()};
}

double Norm(absl::Span<const double> values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares);
}

// The largest difference, against the root mean square of what is expected.
double Apart(absl::Span<const float> values, const PowersgdOracle::Matrix& expected) {
  double most = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    most = std::max(most, std::fabs(values[i] - expected[i]));
  return most / (Norm(expected) / std::sqrt(static_cast<double>(expected.size())));
}

bool SameBits(const Arena& a, const Arena& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// The matrices of MixedLayout that have factors at this rank, with an oracle for each.
struct Watched {
  Param param;
  size_t rows = 0, columns = 0;
  PowersgdOracle oracle;
};

std::vector<Watched> Watch(const ReducerCluster& cluster, const ParamLayout& layout, int32_t ranks,
                           int32_t rank, PowersgdOracle::Keeps keeps) {
  const std::vector<float> q = cluster.Kept(0, "q");
  std::vector<Watched> watched;
  size_t begin = 0;
  for (const Param& param : layout.params()) {
    const size_t rows = param.shape[0], columns = param.count / rows;
    if (param.shape.size() < 2 || rank * (rows + columns) >= rows * columns) continue;
    const absl::Span<const float> own = absl::MakeConstSpan(q).subspan(begin, rank * columns);
    begin += own.size();
    watched.push_back(
        {param, rows, columns, PowersgdOracle(ranks, rows, columns, Doubles(own), keeps)});
  }
  EXPECT_EQ(begin, q.size());
  return watched;
}

std::vector<PowersgdOracle::Matrix> PartsOf(const std::vector<Arena>& gradients,
                                            const Param& param) {
  std::vector<PowersgdOracle::Matrix> parts;
  for (const Arena& gradient : gradients)
    parts.push_back(Doubles(absl::MakeConstSpan(gradient).subspan(param.begin, param.count)));
  return parts;
}

TEST(Powersgd, EveryStepIsThePapersOnEveryRank) {
  const ParamLayout layout = MixedLayout();
  for (const int32_t ranks : {1, 2, 3}) {
    for (const bool feedback : {true, false}) {
      ReducerCluster cluster(Spec(2, feedback), layout, ranks, 5);
      std::vector<Watched> watched =
          Watch(cluster, layout, ranks, 2,
                feedback ? PowersgdOracle::Keeps::kLessOwn : PowersgdOracle::Keeps::kNothing);
      ASSERT_EQ(watched.size(), 3u);
      for (int64_t step = 0; step < 6; ++step) {
        std::vector<Arena> gradients = Gradients(layout.count(), ranks, 100 + step);
        const std::vector<Arena> before = gradients;
        ASSERT_TRUE(cluster.Step(step, &gradients).ok());
        for (Watched& matrix : watched) {
          SCOPED_TRACE(testing::Message() << matrix.param.name << " step " << step);
          const PowersgdOracle::Matrix expected = matrix.oracle.Step(PartsOf(before, matrix.param));
          // Rounding of sums of hundreds of floats, which the power iteration carries on.
          EXPECT_LT(Apart(absl::MakeConstSpan(gradients[ranks - 1])
                              .subspan(matrix.param.begin, matrix.param.count),
                          expected),
                    1e-4);
        }
      }
    }
  }
}

TEST(Powersgd, WhatDoesNotShrinkIsTheExactSum) {
  const ParamLayout layout = MixedLayout();
  ReducerCluster cluster(Spec(2), layout, 3, 5);
  std::vector<Arena> gradients = Gradients(layout.count(), 3, 1);
  const std::vector<Arena> before = gradients;
  ASSERT_TRUE(cluster.Step(0, &gradients).ok());
  for (const Param& param : layout.params()) {
    if (param.shape.size() > 1 && param.name != "tiny.weight") continue;
    for (int64_t i = param.begin; i < param.begin + param.count; ++i)
      ASSERT_EQ(gradients[0][i], before[0][i] + before[1][i] + before[2][i]) << param.name;
  }
}

TEST(Powersgd, AllRanksHaveTheSameBits) {
  const ParamLayout layout = MixedLayout();
  for (const int32_t ranks : {2, 3, 4}) {
    ReducerCluster cluster(Spec(3), layout, ranks, 9);
    for (int64_t step = 0; step < 5; ++step) {
      std::vector<Arena> gradients = Gradients(layout.count(), ranks, step);
      ASSERT_TRUE(cluster.Step(step, &gradients).ok());
      for (int32_t rank = 1; rank < ranks; ++rank) {
        ASSERT_TRUE(SameBits(gradients[0], gradients[rank])) << ranks << " " << step;
        ASSERT_EQ(cluster.Kept(0, "q"), cluster.Kept(rank, "q"));
      }
    }
  }
}

// Whatever is left out of one step is in a later one: all that was applied, and what the ranks
// still keep, is all that came.
TEST(Powersgd, NothingIsLostWithErrorFeedback) {
  const ParamLayout layout = LayoutOf({ParamOf("weight", {24, 30})}, 1);
  constexpr int32_t kRanks = 3;
  ReducerCluster cluster(Spec(2), layout, kRanks, 5);
  std::vector<double> came(layout.count()), applied(layout.count());
  for (int64_t step = 0; step < 20; ++step) {
    std::vector<Arena> gradients = Gradients(layout.count(), kRanks, 50 + step);
    for (const Arena& gradient : gradients) {
      for (size_t i = 0; i < came.size(); ++i) came[i] += gradient[i];
    }
    ASSERT_TRUE(cluster.Step(step, &gradients).ok());
    for (size_t i = 0; i < applied.size(); ++i) applied[i] += gradients[0][i];
  }
  double largest_kept = 0;
  for (int32_t rank = 0; rank < kRanks; ++rank) {
    const std::vector<float> kept = cluster.Kept(rank, "residual");
    for (size_t i = 0; i < applied.size(); ++i) {
      applied[i] += kept[i];
      largest_kept = std::max(largest_kept, std::fabs(double{kept[i]}));
    }
  }
  EXPECT_GT(largest_kept, 0.5);  // else nothing was left out
  for (size_t i = 0; i < came.size(); ++i) EXPECT_NEAR(applied[i], came[i], 1e-5) << i;
}

// Why a rank keeps what is left of its own matrix by what it has sent itself.
TEST(Powersgd, KeepingTheMatrixLessTheAverageTrainsAlikeAndKeepsMore) {
  const ParamLayout layout = LayoutOf({ParamOf("weight", {24, 30})}, 1);
  constexpr int32_t kRanks = 2;
  ReducerCluster cluster(Spec(2), layout, kRanks, 5);
  std::vector<Watched> average =
      Watch(cluster, layout, kRanks, 2, PowersgdOracle::Keeps::kLessAverage);
  for (int64_t step = 0; step < 200; ++step) {
    std::vector<Arena> gradients = Gradients(layout.count(), kRanks, step);
    const auto parts = PartsOf(gradients, layout.params()[0]);
    ASSERT_TRUE(cluster.Step(step, &gradients).ok());
    const PowersgdOracle::Matrix other = average[0].oracle.Step(parts);
    if (step < 10) {
      EXPECT_LT(Apart(gradients[0], other), 1e-4) << step;
    }
  }
  const double own = Norm(Doubles(cluster.Kept(0, "residual")));
  const double others = Norm(average[0].oracle.kept(0));
  EXPECT_GT(others, 1.5 * own);
}

// Reflects all rows of `matrix` by a random mirror: its singular values stay.
void Reflect(int64_t side, uint64_t seed, std::vector<double>* matrix) {
  Random random(seed);
  std::vector<double> normal(side);
  for (double& value : normal) value = random.Normal();
  const double squares = Norm(normal) * Norm(normal);
  for (int64_t i = 0; i < side; ++i) {
    double along = 0;
    for (int64_t j = 0; j < side; ++j) along += (*matrix)[i * side + j] * normal[j];
    for (int64_t j = 0; j < side; ++j) (*matrix)[i * side + j] -= 2 * along / squares * normal[j];
  }
}

void Transpose(int64_t side, std::vector<double>* matrix) {
  for (int64_t i = 0; i < side; ++i) {
    for (int64_t j = 0; j < i; ++j) std::swap((*matrix)[i * side + j], (*matrix)[j * side + i]);
  }
}

constexpr int64_t kSide = 256;

// A matrix with singular values 1, 1/2, 1/3, ...
Arena Harmonic(uint64_t seed) {
  std::vector<double> matrix(kSide * kSide);
  for (int64_t i = 0; i < kSide; ++i) matrix[i * kSide + i] = 1.0 / static_cast<double>(i + 1);
  for (const uint64_t mirror : {1, 2}) {
    Reflect(kSide, MixSeed(seed, mirror), &matrix);
    Transpose(kSide, &matrix);
  }
  return {matrix.begin(), matrix.end()};
}

// The share of the norm that a matrix of rank r must leave out: Eckart and Young 1936.
double BestError(int32_t rank) {
  double left = 0, all = 0;
  for (int64_t i = kSide; i > 0; --i) {
    const double square = 1.0 / (static_cast<double>(i) * static_cast<double>(i));
    all += square;
    if (i > rank) left += square;
  }
  return std::sqrt(left / all);
}

struct Course {
  double first = 0;   // error of the first step, against the best
  int64_t steps = 0;  // until it is within 1 % of the best
};

Course CourseOf(int32_t rank, uint64_t seed) {
  const ParamLayout layout = LayoutOf({ParamOf("weight", {kSide, kSide})}, 1);
  ReducerCluster cluster(Spec(rank, /*error_feedback=*/false), layout, 1, seed);
  const Arena matrix = Harmonic(seed);
  const double norm = Norm(Doubles(matrix));
  Course course;
  for (double error = 2; error > 1.01 && course.steps < 50; ++course.steps) {
    std::vector<Arena> gradients = {matrix};
    EXPECT_TRUE(cluster.Step(course.steps, &gradients).ok());
    PowersgdOracle::Matrix left = Doubles(matrix);
    for (size_t i = 0; i < left.size(); ++i) left[i] -= gradients[0][i];
    error = Norm(left) / norm / BestError(rank);
    if (course.steps == 0) course.first = error;
  }
  return course;
}

constexpr size_t kCourses = 41;

// Medians over draws of the start and of the matrix; figures from a simulation in double precision.
// A median of so many first steps is itself spread by about 0.03.
TEST(Powersgd, PowerIterationComesWithinOnePercentOfTheBestInThreeOrFourSteps) {
  struct Expected {
    int32_t rank;
    double best, first;
    int64_t steps, steps_late;  // the median, and what 95 % keep
  };
  for (const Expected& expected :
       {Expected{1, 0.625, 1.34, 3, 4}, {2, 0.488, 1.41, 3, 6}, {4, 0.364, 1.50, 4, 8}}) {
    SCOPED_TRACE(testing::Message() << "rank " << expected.rank);
    EXPECT_NEAR(BestError(expected.rank), expected.best, 5e-4);
    std::vector<double> firsts;
    std::vector<int64_t> steps;
    for (uint64_t seed = 0; seed < kCourses; ++seed) {
      const Course course = CourseOf(expected.rank, seed);
      firsts.push_back(course.first);
      steps.push_back(course.steps);
    }
    std::sort(firsts.begin(), firsts.end());
    std::sort(steps.begin(), steps.end());
    EXPECT_NEAR(firsts[kCourses / 2], expected.first, 0.06);
    EXPECT_EQ(steps[kCourses / 2], expected.steps);
    EXPECT_LE(steps[kCourses * 95 / 100], expected.steps_late);
  }
}

TEST(Powersgd, AStepOfZerosDoesNotEndIt) {
  const ParamLayout layout = LayoutOf({ParamOf("weight", {24, 30})}, 1);
  ReducerCluster cluster(Spec(2), layout, 2, 5);
  std::vector<Arena> zeros(2, Arena(layout.count()));
  for (int64_t step = 0; step < 3; ++step) {
    ASSERT_TRUE(cluster.Step(step, &zeros).ok());
    for (const float value : zeros[0]) ASSERT_EQ(value, 0.0f);
  }
  std::vector<Arena> gradients = Gradients(layout.count(), 2, 1);
  ASSERT_TRUE(cluster.Step(3, &gradients).ok());
  EXPECT_GT(Norm(Doubles(gradients[0])), 1);
}

// Its factors have more columns than it takes: those that bring nothing must do no harm, then or
// later.
TEST(Powersgd, AMatrixOfLowRankComesThroughWhole) {
  const ParamLayout layout = LayoutOf({ParamOf("weight", {40, 60})}, 1);
  ReducerCluster cluster(Spec(4, /*error_feedback=*/false), layout, 1, 5);
  Random random(4);
  for (int64_t step = 0; step < 8; ++step) {
    Arena u(40), v(60), matrix(layout.count());
    for (float& value : u) value = random.Normal();
    for (float& value : v) value = random.Normal();
    for (size_t i = 0; i < u.size(); ++i) {
      for (size_t j = 0; j < v.size(); ++j) matrix[i * v.size() + j] = u[i] * v[j];
    }
    std::vector<Arena> gradients = {matrix};
    ASSERT_TRUE(cluster.Step(step, &gradients).ok());
    EXPECT_LT(Apart(gradients[0], Doubles(matrix)), 1e-4) << step;
  }
}

TEST(Powersgd, ASumThatIsNotFiniteIsRefusedByEveryRankAndNamesItsBucket) {
  const ParamLayout layout = MixedLayout();
  for (const int64_t at : {int64_t{0}, layout.count() - 1}) {
    for (const float value :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      ReducerCluster cluster(Spec(2), layout, 2, 5);
      std::vector<Arena> gradients = Gradients(layout.count(), 2, 1);
      gradients[1][at] = value;
      const absl::Status status = cluster.Step(7, &gradients);
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(at == 0 ? "step=7 bucket=0" : "step=7 bucket=1"));
    }
  }
}

TEST(Powersgd, AnotherReducerGoesOnWithTheSameBits) {
  const ParamLayout layout = MixedLayout();
  for (const bool feedback : {true, false}) {
    ReducerCluster whole(Spec(2, feedback), layout, 2, 5);
    ReducerCluster second(Spec(2, feedback), layout, 2, 5);
    for (int64_t step = 0; step < 6; ++step) {
      std::vector<Arena> gradients = Gradients(layout.count(), 2, step);
      std::vector<Arena> others = gradients;
      ASSERT_TRUE(whole.Step(step, &gradients).ok());
      if (step == 2) {
        for (const int32_t rank : {0, 1})
          ASSERT_TRUE(second.reducer(rank).Take(whole.reducer(rank).Give()).ok());
      }
      if (step <= 2) continue;
      ASSERT_TRUE(second.Step(step, &others).ok());
      ASSERT_TRUE(SameBits(gradients[1], others[1])) << step;
    }
    const absl::Status other = second.reducer(0).Take(State());
    EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Powersgd, WarmUpAndSmallTensorsGoAsTheyAre) {
  const ParamLayout layout = MixedLayout();
  CodecSpec spec = Spec(2);
  spec.set_warmup_steps(2);
  spec.set_min_tensor_elements(401);  // head.weight has 400
  ReducerCluster cluster(spec, layout, 2, 5);
  for (int64_t step = 0; step < 3; ++step) {
    std::vector<Arena> gradients = Gradients(layout.count(), 2, step);
    const std::vector<Arena> before = gradients;
    ASSERT_TRUE(cluster.Step(step, &gradients).ok());
    int64_t exact = 0;
    for (size_t i = 0; i < before[0].size(); ++i)
      exact += gradients[0][i] == before[0][i] + before[1][i] ? 1 : 0;
    const int64_t as_they_are = step < 2 ? layout.count() : 400 + 10 + 12 + 12;
    EXPECT_GE(exact, as_they_are);
    EXPECT_LT(exact, as_they_are + 30);
  }
}

// LeNet's tensors, last layer first.
ParamLayout LenetLayout() {
  return LayoutOf({ParamOf("fc2.weight", {10, 500}), ParamOf("fc2.bias", {10}),
                   ParamOf("fc1.weight", {500, 800}), ParamOf("fc1.bias", {500}),
                   ParamOf("conv2.weight", {50, 20, 5, 5}), ParamOf("conv2.bias", {50}),
                   ParamOf("conv1.weight", {20, 1, 5, 5}), ParamOf("conv1.bias", {20})},
                  1000);
}

// What PyTorch's hook sends of the same model.
TEST(Powersgd, RoundsSumTheFactorsAndTheBiases) {
  const ParamLayout layout = LenetLayout();
  ASSERT_EQ(layout.count(), 431080);
  const ReducerDefinition& definition = *FindReducer("powersgd");
  for (const auto& [rank, elements] :
       {std::pair<int32_t, int64_t>{1, 2985}, {2, 5390}, {4, 10200}}) {
    int64_t sum = 0;
    for (const Bucket& bucket : layout.buckets()) {
      for (const int64_t round : definition.round_elements(Spec(rank), layout, bucket, 0))
        sum += round;
    }
    EXPECT_EQ(sum, elements) << "rank " << rank;
    ReducerCluster cluster(Spec(rank), layout, 2, 1);
    std::vector<Arena> gradients = Gradients(layout.count(), 2, 1);
    ASSERT_TRUE(cluster.Step(0, &gradients).ok());
    EXPECT_EQ(cluster.summed_elements(), elements) << "rank " << rank;
  }
}

TEST(Powersgd, ARankAtWhichNothingShrinksIsRefusedWithTheLargestThatDoes) {
  const ReducerDefinition& definition = *FindReducer("powersgd");
  const ParamLayout layout = LenetLayout();
  EXPECT_TRUE(definition.check(Spec(307), layout).ok());
  const absl::Status status = definition.check(Spec(308), layout);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("codec.rank = 308"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 307"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("fc1.weight"));
  EXPECT_FALSE(definition.check(Spec(1), LayoutOf({ParamOf("bias", {10})}, 1)).ok());
}

}  // namespace
}  // namespace ringmaster
