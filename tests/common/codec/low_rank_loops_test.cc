#include "common/codec/low_rank/low_rank_loops.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

Floats Normals(size_t count, uint64_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Normal();
  return values;
}

bool SameBits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Everything the loops make of one matrix and two factors.
struct Outcome {
  Floats projected, corrected_p, corrected, back, product, left;
};

struct Inputs {
  LowRankShape shape;
  Floats matrix, residual, p, q;
};

Inputs InputsOf(const LowRankShape& shape, uint64_t seed) {
  return {shape, Normals(shape.rows * shape.columns, seed),
          Normals(shape.rows * shape.columns, seed + 1), Normals(shape.rank * shape.rows, seed + 2),
          Normals(shape.rank * shape.columns, seed + 3)};
}

Outcome RunLoops(const LowRankLoops& loops, const Inputs& in, float decay) {
  Outcome out;
  out.projected.assign(in.p.size(), NAN);
  loops.project(in.shape, in.matrix.data(), in.q.data(), out.projected.data());
  out.corrected_p.assign(in.p.size(), NAN);
  out.corrected = in.residual;
  loops.project_corrected(in.shape, in.matrix.data(), decay, out.corrected.data(), in.q.data(),
                          out.corrected_p.data());
  out.back.assign(in.q.size(), NAN);
  loops.project_back(in.shape, in.matrix.data(), in.p.data(), out.back.data());
  out.product.assign(in.matrix.size(), NAN);
  loops.multiply(in.shape, in.p.data(), in.q.data(), out.product.data());
  out.left = in.residual;
  loops.subtract(in.shape, in.p.data(), in.q.data(), out.left.data());
  return out;
}

// Sides at, below and above the lanes, and ranks that fill the groups of dot products and do not.
std::vector<LowRankShape> Shapes() {
  std::vector<LowRankShape> shapes;
  for (const size_t rows : {1, 3, 4, 7, 20}) {
    for (const size_t columns : {1, 15, 16, 17, 25, 64, 101}) {
      for (const size_t rank : {1, 2, 3, 4, 7}) shapes.push_back({rows, columns, rank});
    }
  }
  return shapes;
}

TEST(LowRankLoops, EveryInstructionSetGivesTheSameBits) {
  if (Avx512LowRankLoops() == nullptr) GTEST_SKIP() << "this machine has one set alone";
  for (const LowRankShape& shape : Shapes()) {
    SCOPED_TRACE(testing::Message()
                 << shape.rows << " by " << shape.columns << " rank " << shape.rank);
    const Inputs in = InputsOf(shape, 7);
    const Outcome narrow = RunLoops(Avx2LowRankLoops(), in, 0.9f);
    const Outcome wide = RunLoops(*Avx512LowRankLoops(), in, 0.9f);
    EXPECT_TRUE(SameBits(narrow.projected, wide.projected));
    EXPECT_TRUE(SameBits(narrow.corrected_p, wide.corrected_p));
    EXPECT_TRUE(SameBits(narrow.corrected, wide.corrected));
    EXPECT_TRUE(SameBits(narrow.back, wide.back));
    EXPECT_TRUE(SameBits(narrow.product, wide.product));
    EXPECT_TRUE(SameBits(narrow.left, wide.left));
  }
}

// A sum of n products in whatever order is off by at most about n roundings of the sum of their
// magnitudes.
class Dot {
 public:
  explicit Dot(double start = 0) : sum_(start), magnitude_(std::fabs(start)) {}
  void Add(double a, double b) {
    sum_ += a * b;
    magnitude_ += std::fabs(a * b);
    ++count_;
  }
  void ExpectNear(float value) const {
    EXPECT_NEAR(value, sum_, 0x1p-23 * (static_cast<double>(count_) + 1) * magnitude_);
  }

 private:
  double sum_, magnitude_;
  int64_t count_ = 0;
};

TEST(LowRankLoops, ProductsAreThoseOfPlainLoops) {
  for (const LowRankShape& shape : Shapes()) {
    SCOPED_TRACE(testing::Message()
                 << shape.rows << " by " << shape.columns << " rank " << shape.rank);
    const Inputs in = InputsOf(shape, 11);
    const Outcome out = RunLoops(BestLowRankLoops(), in, 1.0f);
    for (size_t k = 0; k < shape.rank; ++k) {
      for (size_t i = 0; i < shape.rows; ++i) {
        Dot dot, corrected;
        for (size_t j = 0; j < shape.columns; ++j) {
          const size_t at = i * shape.columns + j;
          dot.Add(in.matrix[at], in.q[k * shape.columns + j]);
          corrected.Add(in.residual[at] + in.matrix[at], in.q[k * shape.columns + j]);
          EXPECT_EQ(out.corrected[at], in.residual[at] + in.matrix[at]);
        }
        dot.ExpectNear(out.projected[k * shape.rows + i]);
        corrected.ExpectNear(out.corrected_p[k * shape.rows + i]);
      }
      for (size_t j = 0; j < shape.columns; ++j) {
        Dot dot;
        for (size_t i = 0; i < shape.rows; ++i)
          dot.Add(in.matrix[i * shape.columns + j], in.p[k * shape.rows + i]);
        dot.ExpectNear(out.back[k * shape.columns + j]);
      }
    }
    for (size_t i = 0; i < shape.rows; ++i) {
      for (size_t j = 0; j < shape.columns; ++j) {
        Dot product, left(in.residual[i * shape.columns + j]);
        for (size_t k = 0; k < shape.rank; ++k) {
          product.Add(in.p[k * shape.rows + i], in.q[k * shape.columns + j]);
          left.Add(-in.p[k * shape.rows + i], in.q[k * shape.columns + j]);
        }
        product.ExpectNear(out.product[i * shape.columns + j]);
        left.ExpectNear(out.left[i * shape.columns + j]);
      }
    }
  }
}

TEST(LowRankLoops, ADecayIsRoundedBeforeItIsAdded) {
  const Inputs in = InputsOf({3, 21, 2}, 5);
  const Outcome out = RunLoops(BestLowRankLoops(), in, 0.3f);
  for (size_t i = 0; i < in.matrix.size(); ++i) {
    const float kept = in.residual[i] * 0.3f;
    EXPECT_EQ(out.corrected[i], kept + in.matrix[i]);
  }
}

}  // namespace
}  // namespace ringmaster
