#include "experiments/proof/bench/bench_gemm.h"

#include "gtest/gtest.h"
#include "worker/kernels/reference/reference_library.h"

namespace ringmaster {
namespace {

TEST(BenchGemm, ShapesAreReadWithTheirTransposes) {
  const auto shapes = ParseGemmShapes("64x1024x784,2x3x4:tn,5x6x7:nt");
  ASSERT_TRUE(shapes.ok()) << shapes.status();
  ASSERT_EQ(shapes->size(), 3);
  EXPECT_EQ((*shapes)[0].k, 784);
  EXPECT_FALSE((*shapes)[0].transpose_a || (*shapes)[0].transpose_b);
  EXPECT_TRUE((*shapes)[1].transpose_a && !(*shapes)[1].transpose_b);
  EXPECT_TRUE(!(*shapes)[2].transpose_a && (*shapes)[2].transpose_b);
}

TEST(BenchGemm, WhatIsNoShapeIsQuoted) {
  for (const char* text :
       {"", "1x2", "1x2x0", "1x2x3x4", "1x2x3:n", "1x2x3:na", "axbxc", "1x2x99999999"}) {
    const auto shapes = ParseGemmShapes(text);
    ASSERT_FALSE(shapes.ok()) << text;
    EXPECT_NE(shapes.status().message().find(text), absl::string_view::npos) << shapes.status();
  }
}

TEST(BenchGemm, FlopsFollowFromTheMedianTime) {
  ReferenceLibrary reference;
  for (const BenchBuffers& buffers : {BenchBuffers(), BenchBuffers{"cold", true}}) {
    const auto times = TimeGemm({"", true, false, 8, 9, 10}, 3, buffers, reference);
    ASSERT_TRUE(times.ok()) << times.status();
    EXPECT_GT(times->us.least, 0);
    EXPECT_GE(times->us.median, times->us.least);
    EXPECT_GE(times->us.p95, times->us.median);
    EXPECT_NEAR(times->gflops, 2e-3 * 8 * 9 * 10 / times->us.median, 1e-9);
  }
}

}  // namespace
}  // namespace ringmaster
