#include "common/codec/low_rank/orthogonalize.h"

#include <cmath>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

double Dot(const std::vector<float>& vectors, int64_t length, int64_t a, int64_t b) {
  double sum = 0;
  for (int64_t i = 0; i < length; ++i)
    sum += double{vectors[a * length + i]} * vectors[b * length + i];
  return sum;
}

std::vector<float> Normals(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = random.Normal();
  return values;
}

TEST(Orthogonalize, VectorsBecomeOrthonormalAndEachStaysInTheSpanOfThoseUpToIt) {
  for (const int64_t length : {4, 7, 50, 1000}) {
    constexpr int64_t kCount = 4;
    const std::vector<float> before = Normals(kCount * length, length);
    std::vector<float> after = before;
    std::vector<double> scratch;
    Orthogonalize(length, absl::MakeSpan(after), &scratch);
    for (int64_t a = 0; a < kCount; ++a) {
      for (int64_t b = 0; b <= a; ++b)
        EXPECT_NEAR(Dot(after, length, a, b), a == b ? 1 : 0, 2e-7)
            << length << " " << a << " " << b;
    }
    // What a vector was is the sum of what lies along those up to it.
    for (int64_t a = 0; a < kCount; ++a) {
      for (int64_t i = 0; i < length; ++i) {
        double made = 0;
        for (int64_t b = 0; b <= a; ++b) {
          double along = 0;
          for (int64_t j = 0; j < length; ++j)
            along += double{before[a * length + j]} * after[b * length + j];
          made += along * after[b * length + i];
        }
        ASSERT_NEAR(made, before[a * length + i], 1e-5);
      }
    }
  }
}

// By one projection of floats the second vector would be off by a tenth of its length.
TEST(Orthogonalize, LittleThatIsLeftOfAVectorIsOrthogonalAllTheSame) {
  constexpr int64_t kLength = 64;
  std::vector<float> vectors = Normals(2 * kLength, 3);
  for (int64_t i = 0; i < kLength; ++i)
    vectors[kLength + i] = vectors[i] + 1e-5f * vectors[kLength + i];
  std::vector<double> scratch;
  Orthogonalize(kLength, absl::MakeSpan(vectors), &scratch);
  EXPECT_NEAR(Dot(vectors, kLength, 1, 1), 1, 2e-7);
  EXPECT_NEAR(Dot(vectors, kLength, 0, 1), 0, 2e-7);
}

TEST(Orthogonalize, AVectorThatDependsOnOthersAndOneOfZerosBecomeZeros) {
  constexpr int64_t kLength = 33;
  std::vector<float> vectors = Normals(5 * kLength, 9);
  for (int64_t i = 0; i < kLength; ++i) {
    vectors[1 * kLength + i] = 3 * vectors[i];
    vectors[2 * kLength + i] = 0;
    vectors[4 * kLength + i] = vectors[i] - 0.25f * vectors[3 * kLength + i];
  }
  std::vector<double> scratch;
  Orthogonalize(kLength, absl::MakeSpan(vectors), &scratch);
  for (const int64_t dependent : {1, 2, 4}) {
    for (int64_t i = 0; i < kLength; ++i) ASSERT_EQ(vectors[dependent * kLength + i], 0.0f);
  }
  for (const int64_t a : {0, 3}) EXPECT_NEAR(Dot(vectors, kLength, a, a), 1, 2e-7);
  EXPECT_NEAR(Dot(vectors, kLength, 0, 3), 0, 2e-7);
}

TEST(Orthogonalize, SmallAndLargeVectorsAlikeHaveNormOne) {
  std::vector<double> scratch;
  for (const float scale : {1e-30f, 1e-6f, 1e6f, 1e30f}) {
    std::vector<float> vectors = Normals(3 * 40, 2);
    for (float& value : vectors) value *= scale;
    Orthogonalize(40, absl::MakeSpan(vectors), &scratch);
    for (int64_t a = 0; a < 3; ++a) EXPECT_NEAR(Dot(vectors, 40, a, a), 1, 2e-7) << scale;
  }
}

}  // namespace
}  // namespace ringmaster
