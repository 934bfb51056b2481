#include "worker/kernels/cpu/cpu_library.h"

#include <cstring>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

// The loops of both widths in one run.
INSTANTIATE_TEST_SUITE_P(
    Cpu, KernelOpTest,
    ::testing::Values(KernelUnderTest{"avx2", [] { return CreateCpuLibraryOf(&cpu::Avx2Loops()); }},
                      KernelUnderTest{
                          "avx512", [] { return CreateCpuLibraryOf(cpu::Avx512Loops()); },
                          cpu::Avx512Loops() == nullptr ? "this processor has no AVX-512" : ""}),
    [](const auto& info) { return info.param.name; });

namespace {

using Floats = DeviceArray<float>;

std::vector<float> Uniform(int64_t count, Random* random) {
  std::vector<float> values(count);
  for (float& value : values) value = 2.0f * random->Uniform() - 1.0f;
  return values;
}

// The result of one product with a, b and c each `offset` floats off their allocation.
std::vector<float> MultiplyAt(KernelLibrary& kernels, GemmCall call, const std::vector<float>& a,
                              const std::vector<float>& b, int64_t offset) {
  Floats left(kernels, a, offset), right(kernels, b, 3 * offset % 16);
  Floats out(kernels, std::vector<float>(call.m * call.n, 0.5f), 5 * offset % 16);
  call.a = left.data();
  call.b = right.data();
  call.c = out.data();
  EXPECT_EQ(kernels.Run(call), absl::OkStatus());
  return out.Download();
}

// The matrix products of lenet with batch 32, and some odd ones.
std::vector<GemmCall> LenetProducts() {
  std::vector<GemmCall> calls;
  const auto add = [&calls](bool ta, bool tb, int64_t m, int64_t n, int64_t k) {
    GemmCall call;
    call.transpose_a = ta;
    call.transpose_b = tb;
    call.m = m;
    call.n = n;
    call.k = k;
    call.lda = ta ? m : k;
    call.ldb = tb ? k : n;
    call.beta = 1.0f;
    call.ldc = n;
    calls.push_back(call);
  };
  add(false, false, 20, 9216, 25);
  add(false, false, 50, 512, 500);
  add(false, true, 32, 500, 800);
  add(false, true, 32, 10, 500);
  add(true, false, 500, 800, 32);
  add(true, false, 10, 500, 32);
  add(false, false, 32, 800, 500);
  add(false, true, 50, 500, 512);
  add(true, false, 500, 512, 50);
  add(false, true, 20, 25, 9216);
  add(false, false, 13, 37, 101);
  return calls;
}

TEST(CpuLibrary, GemmGivesTheSameBitsWhateverTheAlignmentOrThread) {
  auto kernels = CreateCpuLibrary();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  Random random(7);
  for (const GemmCall& call : LenetProducts()) {
    const std::vector<float> a = Uniform(call.m * call.k, &random),
                             b = Uniform(call.k * call.n, &random);
    const std::vector<float> expected = MultiplyAt(**kernels, call, a, b, 0);
    const auto expect_same = [&](int64_t offset, const char* where) {
      const std::vector<float> actual = MultiplyAt(**kernels, call, a, b, offset);
      EXPECT_EQ(std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)), 0)
          << where << " offset=" << offset << " m=" << call.m << " n=" << call.n << " k=" << call.k;
    };
    for (const int64_t offset : {0, 1, 2, 3, 7, 8}) expect_same(offset, "same thread");
    std::thread([&] { expect_same(1, "other thread"); }).join();
  }
}

TEST(CpuLibrary, BiasGradientGivesTheSameBitsWhateverTheAlignment) {
  auto kernels = CreateCpuLibrary();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  Random random(8);
  const std::vector<float> gradient = Uniform(20 * 1031, &random);
  std::vector<std::vector<float>> sums;
  for (int64_t offset = 0; offset < 8; ++offset) {
    Floats device_gradient(**kernels, gradient, offset);
    Floats bias = Floats::Poisoned(**kernels, 20, offset);
    ASSERT_EQ((*kernels)->Run(BiasGradientCall{device_gradient.data(), 20, 1031, bias.data(),
                                               BiasAxis::kPerRow}),
              absl::OkStatus());
    sums.push_back(bias.Download());
    EXPECT_EQ(sums.back(), sums.front()) << "offset " << offset;
  }
}

TEST(CpuLibrary, ALabelOutsideTheClassesIsRefusedByRow) {
  auto kernels = CreateCpuLibrary();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  std::vector<float> logits(20), loss(2), correct(2);
  const std::vector<int32_t> labels = {9, 10};
  const absl::Status status = (*kernels)->Run(SoftmaxCrossEntropyCall{
      2, 10, logits.data(), labels.data(), loss.data(), correct.data(), nullptr, 1.0f});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("label 10 in row 1"), absl::string_view::npos) << status;
}

TEST(CpuLibrary, ATokenOutsideTheVocabularyIsRefusedByRowAndNothingIsWritten) {
  auto kernels = CreateCpuLibrary();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  const std::vector<float> table(4), gradient(6, 1.0f);
  std::vector<float> output(6, 7.0f), token_gradient(4, 7.0f), position_gradient(2, 7.0f);
  for (const int32_t wrong : {-1, 2}) {
    const std::vector<int32_t> tokens = {1, 0, wrong};
    const absl::Status forward = (*kernels)->Run(
        EmbeddingCall{3, 1, 2, 2, tokens.data(), table.data(), table.data(), output.data()});
    const absl::Status backward = (*kernels)->Run(
        EmbeddingGradientCall{3, 1, 2, 2, tokens.data(), gradient.data(), token_gradient.data(),
                              position_gradient.data(), false});
    for (const absl::Status& status : {forward, backward}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(status.message().find(absl::StrCat("token ", wrong, " in row 2")),
                absl::string_view::npos)
          << status;
    }
  }
  EXPECT_EQ(output, std::vector<float>(6, 7.0f));
  EXPECT_EQ(token_gradient, std::vector<float>(4, 7.0f));
  EXPECT_EQ(position_gradient, std::vector<float>(2, 7.0f));
}

TEST(CpuLibrary, TargetNamesTheBlasAndItsInstructionSet) {
  auto kernels = CreateCpuLibrary();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  EXPECT_EQ((*kernels)->target(), CpuBlasTarget());
  EXPECT_EQ((*kernels)->target().rfind("onednn ", 0), 0u) << (*kernels)->target();
  EXPECT_EQ((*kernels)->target().find("unknown"), std::string::npos) << (*kernels)->target();
  const bool wide = absl::StrContains((*kernels)->target(), "avx512_core");
  EXPECT_TRUE(absl::EndsWith((*kernels)->target(), wide ? ", loops avx512" : ", loops avx2"))
      << (*kernels)->target();
}

}  // namespace
}  // namespace ringmaster
