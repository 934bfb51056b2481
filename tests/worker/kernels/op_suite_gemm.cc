#include <cmath>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;

namespace {

// Sizes, transposes and factors of one matrix product; the matrices are made by the test.
struct GemmCase {
  int64_t m, n, k;
};

GemmCall CallOf(const GemmCase& sizes, int variant) {
  GemmCall call;
  call.transpose_a = variant % 2 != 0;
  call.transpose_b = variant / 2 % 2 != 0;
  call.m = sizes.m;
  call.n = sizes.n;
  call.k = sizes.k;
  // Rows longer than their contents in every other variant.
  const int64_t more = variant % 3;
  call.lda = (call.transpose_a ? call.m : call.k) + more;
  call.ldb = (call.transpose_b ? call.k : call.n) + 2 * more;
  call.ldc = call.n + more;
  return call;
}

int64_t ElementsOfA(const GemmCall& call) {
  return (call.transpose_a ? call.k : call.m) * call.lda;
}
int64_t ElementsOfB(const GemmCall& call) {
  return (call.transpose_b ? call.n : call.k) * call.ldb;
}

std::string Describe(const GemmCall& call) {
  return absl::StrCat("gemm ", call.transpose_a ? "T" : "N", call.transpose_b ? "T" : "N",
                      " m=", call.m, " n=", call.n, " k=", call.k, " alpha=", call.alpha,
                      " beta=", call.beta, " lda=", call.lda, " ldb=", call.ldb, " ldc=", call.ldc);
}

// c of `call` on host memory by the reference.
std::vector<float> Multiply(ReferenceLibrary& reference, GemmCall call, const std::vector<float>& a,
                            const std::vector<float>& b, std::vector<float> c) {
  call.a = a.data();
  call.b = b.data();
  call.c = c.data();
  EXPECT_EQ(reference.Run(call), absl::OkStatus());
  return c;
}

}  // namespace

// k products and their sum, scaled and added to c, in any order and fused or not: k + 3 roundings
// relative to the sum of absolute terms, plus the two of the reference and of the scale itself.
TEST_P(KernelOpTest, GemmAgreesWithTheReferenceForAllTransposesAndRowLengths) {
  const std::vector<GemmCase> cases = {{1, 1, 1},
                                       {3, 5, 7},
                                       {17, 33, 9},
                                       {20, 576, 25},
                                       {50, 128, 500},
                                       {500, 64, 50},
                                       {32, 500, 80},
                                       {10, 50, 32},
                                       {1, 64, 100},
                                       {64, 1, 100},
                                       {2, 3, 4097},
                                       {0, 4, 3},
                                       {4, 0, 3},
                                       {4, 3, 0},
                                       // Few rows and few terms of a large product.
                                       {64, 513, 700},
                                       {40, 600, 515},
                                       {515, 640, 64},
                                       {513, 530, 37},
                                       // Rows that are multiples of 4 KiB apart.
                                       {45, 1024, 520}};
  const std::vector<std::pair<float, float>> factors = {{1.0f, 0.0f}, {1.0f, 1.0f}, {0.5f, -2.0f}};
  for (const GemmCase& sizes : cases) {
    for (int variant = 0; variant < 12; ++variant) {
      GemmCall call = CallOf(sizes, variant);
      std::tie(call.alpha, call.beta) = factors[variant / 4];
      const std::vector<float> a = RandomFloats(ElementsOfA(call));
      const std::vector<float> b = RandomFloats(ElementsOfB(call));
      const std::vector<float> c = call.beta == 0.0f ? std::vector<float>(call.m * call.ldc, kNan)
                                                     : RandomFloats(call.m * call.ldc);
      const std::vector<float> expected = Multiply(reference_, call, a, b, c);
      GemmCall absolute = call;
      absolute.alpha = std::fabs(call.alpha);
      absolute.beta = std::fabs(call.beta);
      const std::vector<float> scale =
          Multiply(reference_, absolute, Absolute(a), Absolute(b), Absolute(c));

      Floats device_a(kernels(), a, RandomOffset()), device_b(kernels(), b, RandomOffset());
      Floats device_c(kernels(), c, RandomOffset());
      call.a = device_a.data();
      call.b = device_b.data();
      call.c = device_c.data();
      ASSERT_EQ(kernels().Run(call), absl::OkStatus()) << Describe(call);
      const std::vector<float> actual = device_c.Download();
      for (int64_t i = 0; i < call.m * call.ldc; ++i) {
        if (i % call.ldc >= call.n) {
          ASSERT_EQ(std::memcmp(&actual[i], &c[i], sizeof(float)), 0)
              << Describe(call) << ": wrote behind a row";
          continue;
        }
        const double error = std::fabs(static_cast<double>(actual[i]) - expected[i]);
        ASSERT_LE(error, (static_cast<double>(call.k) + 5) * kRounding * scale[i])
            << Describe(call) << " element " << i << " is " << actual[i] << ", expected "
            << expected[i];
      }
    }
  }
}

TEST_P(KernelOpTest, ASecondLibraryGivesTheSameBits) {
  auto second = GetParam().create();
  ASSERT_TRUE(second.ok()) << second.status();
  for (const GemmCase& sizes : {GemmCase{20, 576, 25},
                                {50, 500, 512},
                                {500, 800, 32},
                                {32, 500, 800},
                                {7, 9, 11},
                                {62, 530, 600},
                                {513, 640, 64}}) {
    GemmCall call = CallOf(sizes, static_cast<int>(sizes.m) % 4);
    const std::vector<float> a = RandomFloats(ElementsOfA(call)),
                             b = RandomFloats(ElementsOfB(call));
    std::vector<std::vector<float>> results;
    for (KernelLibrary* kernels : {&this->kernels(), second->get(), &this->kernels()}) {
      Floats device_a(*kernels, a), device_b(*kernels, b);
      Floats device_c(*kernels, std::vector<float>(call.m * call.ldc, 0.0f));
      call.a = device_a.data();
      call.b = device_b.data();
      call.c = device_c.data();
      ASSERT_EQ(kernels->Run(call), absl::OkStatus()) << Describe(call);
      results.push_back(device_c.Download());
    }
    EXPECT_TRUE(SameBits(results[0], results[1]) && SameBits(results[0], results[2]))
        << Describe(call);
  }
}

}  // namespace ringmaster
