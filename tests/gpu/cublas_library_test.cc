// The library "cublas" on GPU 0: every operation against the reference and every model against the
// same network in double precision (the suites), and what only a device gets wrong.

#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/gpu/cublas_fixture.h"
#include "tests/worker/kernels/op_suite.h"
#include "tests/worker/model/model_suite.h"
#include "worker/kernels/cublas/loader.h"

namespace ringmaster {
namespace {

std::vector<float> Uniform(int64_t count, Random* random) {
  std::vector<float> values(count);
  for (float& value : values) value = 2.0f * random->Uniform() - 1.0f;
  return values;
}

// a[m, k] times b[k, n] on the device.
std::vector<float> Multiply(KernelLibrary& kernels, int64_t m, int64_t n, int64_t k,
                            const std::vector<float>& a, const std::vector<float>& b) {
  Floats left(kernels, a), right(kernels, b), product = Floats::Poisoned(kernels, m * n);
  EXPECT_EQ(kernels.Run(GemmCall{false, false, m, n, k, 1.0f, left.data(), k, right.data(), n, 0.0f,
                                 product.data(), n}),
            absl::OkStatus());
  return product.Download();
}

TEST_F(CublasLibraryTest, NamesItselfItsPlaceAndItsDevice) {
  EXPECT_EQ(kernels().name(), "cublas");
  EXPECT_EQ(kernels().place(), Place::kDevice);
  EXPECT_THAT(kernels().target(), ::testing::MatchesRegex("sm_[0-9]+ .+"));
}

// 1 + 2^-12 has more bits than a TF32 operand keeps: there every element would be k exactly.
TEST_F(CublasLibraryTest, GemmMultipliesInPlainFp32) {
  constexpr int64_t kSize = 256;
  const float value = 1.0f + 0x1p-12f;
  const std::vector<float> product =
      Multiply(kernels(), kSize, kSize, kSize, std::vector<float>(kSize * kSize, value),
               std::vector<float>(kSize * kSize, 1.0f));
  for (const float element : product) ASSERT_EQ(element, kSize * value);
}

TEST_F(CublasLibraryTest, GemmMultipliesInTf32WhereThatIsAskedForAndSaysSo) {
  constexpr int64_t kSize = 256;
  const auto tf32 = LoadCublasLibrary(0, "", ProductPrecision::kTf32);
  ASSERT_TRUE(tf32.ok()) << tf32.status();
  EXPECT_EQ((*tf32)->name(), "cublas_tf32");
  EXPECT_EQ((*tf32)->target(), kernels().target() + " tf32");
  const std::vector<float> values(kSize * kSize, 1.0f + 0x1p-12f), ones(kSize * kSize, 1.0f);
  const std::vector<float> product = Multiply(**tf32, kSize, kSize, kSize, values, ones);
  for (const float element : product) ASSERT_EQ(element, kSize);
}

TEST_F(CublasLibraryTest, GemmGivesTheSameBitsInEveryRepetitionWhateverRanBetween) {
  Random random(11);
  const std::vector<float> a = Uniform(500 * 800, &random), b = Uniform(800 * 32, &random);
  const std::vector<float> first = Multiply(kernels(), 500, 32, 800, a, b);
  for (int repetition = 0; repetition < 20; ++repetition) {
    Multiply(kernels(), 20, 25 + repetition, 9216, Uniform(20 * 9216, &random),
             Uniform(9216 * (25 + repetition), &random));
    const std::vector<float> again = Multiply(kernels(), 500, 32, 800, a, b);
    ASSERT_EQ(std::memcmp(again.data(), first.data(), first.size() * sizeof(float)), 0)
        << "repetition " << repetition;
  }
}

TEST_F(CublasLibraryTest, TwoLibrariesInTwoThreadsAgreeBitForBit) {
  Random random(12);
  const std::vector<float> a = Uniform(64 * 800, &random), b = Uniform(800 * 500, &random);
  std::vector<float> products[2];
  std::vector<std::thread> threads;
  for (std::vector<float>& product : products) {
    threads.emplace_back([&product, &a, &b] {
      auto own = CreateCublas();
      ASSERT_TRUE(own.ok()) << own.status();
      for (int repetition = 0; repetition < 10; ++repetition)
        product = Multiply(**own, 64, 500, 800, a, b);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(products[0].size(), products[1].size());
  EXPECT_EQ(std::memcmp(products[0].data(), products[1].data(), products[0].size() * sizeof(float)),
            0);
}

TEST_F(CublasLibraryTest, AnotherThreadMayTakeOver) {
  Random random(13);
  const std::vector<float> a = Uniform(30 * 40, &random), b = Uniform(40 * 50, &random);
  const std::vector<float> here = Multiply(kernels(), 30, 50, 40, a, b);
  std::thread([&] { EXPECT_EQ(Multiply(kernels(), 30, 50, 40, a, b), here); }).join();
}

TEST_F(CublasLibraryTest, ALabelThatIsNoClassIsReportedByFinishOnceAndByRow) {
  Floats logits(kernels(), std::vector<float>(20, 0.0f));
  Ints labels(kernels(), {9, 10});
  Floats loss = Floats::Poisoned(kernels(), 2), correct = Floats::Poisoned(kernels(), 2);
  ASSERT_EQ(kernels().Run(SoftmaxCrossEntropyCall{2, 10, logits.data(), labels.data(), loss.data(),
                                                  correct.data(), nullptr, 1.0f}),
            absl::OkStatus());
  const absl::Status status = kernels().Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("row 1"));
  EXPECT_EQ(kernels().Finish(), absl::OkStatus());
}

TEST_F(CublasLibraryTest, ATokenOutsideTheVocabularyIsReportedByFinishOnceAndByRow) {
  Ints tokens(kernels(), {2, -1, 4}), later_tokens(kernels(), {0, 1, 5});
  Floats token_table(kernels(), std::vector<float>(5 * 6, 1.0f));
  Floats position_table(kernels(), std::vector<float>(3 * 6, 1.0f));
  Floats output = Floats::Poisoned(kernels(), 3 * 6);
  ASSERT_EQ(kernels().Run(EmbeddingCall{3, 3, 6, 5, tokens.data(), token_table.data(),
                                        position_table.data(), output.data()}),
            absl::OkStatus());
  absl::Status status = kernels().Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("token in row 1"));
  EXPECT_EQ(kernels().Finish(), absl::OkStatus());
  const std::vector<float> rows = output.Download();
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(std::isnan(rows[i]), i / 6 == 1) << "element " << i << " is " << rows[i];
  }
  ASSERT_EQ(kernels().Run(EmbeddingGradientCall{3, 3, 6, 5, later_tokens.data(), output.data(),
                                                token_table.data(), position_table.data(), false}),
            absl::OkStatus());
  status = kernels().Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("token in row 2"));
}

// A matrix whose rows are summed in parts (thousands of rows of few columns), in one object and in
// another.
TEST_F(CublasLibraryTest, ColumnSumsOfManyRowsGiveTheSameBitsInEveryRepetitionAndLibrary) {
  constexpr int64_t kRows = 5003, kCols = 70;
  Random random(14);
  const std::vector<float> values = Uniform(kRows * kCols, &random);
  auto second = CreateCublas();
  ASSERT_TRUE(second.ok()) << second.status();
  std::vector<float> first;
  for (KernelLibrary* library : {&kernels(), second->get(), &kernels()}) {
    Floats gradient(*library, values, first.empty() ? 0 : 1),
        sums = Floats::Poisoned(*library, kCols);
    ASSERT_EQ(library->Run(BiasGradientCall{gradient.data(), kRows, kCols, sums.data(),
                                            BiasAxis::kPerColumn}),
              absl::OkStatus());
    const std::vector<float> again = sums.Download();
    if (first.empty()) first = again;
    EXPECT_EQ(std::memcmp(again.data(), first.data(), first.size() * sizeof(float)), 0);
  }
  for (int64_t col = 0; col < kCols; ++col) {
    double sum = 0.0, magnitudes = 0.0;
    for (int64_t row = 0; row < kRows; ++row) {
      sum += values[row * kCols + col];
      magnitudes += std::fabs(values[row * kCols + col]);
    }
    EXPECT_NEAR(first[col], sum, kRows * 0x1p-24 * magnitudes) << "column " << col;
  }
}

// The statistics of a long group, as a batch norm's are, wherever the tensors lie in their arenas.
TEST_F(CublasLibraryTest, NormGivesTheSameBitsWhereverItsTensorsLie) {
  NormShape shape;
  shape.kind = NormKind::kBatch;
  shape.rows = 64;
  shape.features = 3;
  shape.pixels = 31 * 31;
  Random random(15);
  const std::vector<float> values = Uniform(shape.count(), &random);
  const std::vector<float> gains = Uniform(3, &random), biases = Uniform(3, &random);
  std::vector<float> first;
  for (int64_t offset = 0; offset < 4; ++offset) {
    Floats input(kernels(), values, offset), gain(kernels(), gains, offset),
        bias(kernels(), biases, 3 - offset);
    Floats output = Floats::Poisoned(kernels(), shape.count(), 3 - offset);
    Floats mean = Floats::Poisoned(kernels(), 3),
           inverse_deviation = Floats::Poisoned(kernels(), 3);
    NormCall call;
    call.shape = shape;
    call.input = input.data();
    call.gain = gain.data();
    call.bias = bias.data();
    call.output = output.data();
    call.mean = mean.data();
    call.inverse_deviation = inverse_deviation.data();
    ASSERT_EQ(kernels().Run(call), absl::OkStatus());
    const std::vector<float> again = output.Download();
    if (first.empty()) first = again;
    EXPECT_EQ(std::memcmp(again.data(), first.data(), first.size() * sizeof(float)), 0)
        << "offset " << offset;
  }
}

TEST_F(CublasLibraryTest, MoreMemoryThanTheDeviceHasIsResourceExhaustedAndHarmsNothingAfterIt) {
  const absl::StatusOr<Buffer> buffer = kernels().Allocate(int64_t{1} << 50);
  EXPECT_EQ(buffer.status().code(), absl::StatusCode::kResourceExhausted) << buffer.status();
  Floats data = Floats::Poisoned(kernels(), 100);
  EXPECT_EQ(kernels().Run(ReluBackwardCall{data.data(), data.data(), 100}), absl::OkStatus());
  EXPECT_EQ(data.Download(), std::vector<float>(100, 0.0f));
}

TEST_F(CublasLibraryTest, StagingIsPinnedHostMemoryThatSurvivesARoundTrip) {
  auto out = kernels().AllocateStaging(4000), back = kernels().AllocateStaging(4000),
       device = kernels().Allocate(4000);
  ASSERT_TRUE(out.ok() && back.ok() && device.ok());
  EXPECT_EQ(out->place(), Place::kHostPinned);
  EXPECT_EQ(device->place(), Place::kDevice);
  for (int i = 0; i < 1000; ++i) out->floats()[i] = static_cast<float>(i);
  ASSERT_EQ(kernels().CopyFromHost(out->data(), device->data(), 4000), absl::OkStatus());
  ASSERT_EQ(kernels().CopyToHost(device->data(), back->data(), 4000), absl::OkStatus());
  ASSERT_EQ(kernels().Finish(), absl::OkStatus());
  EXPECT_EQ(std::memcmp(out->data(), back->data(), 4000), 0);
}

// Ten times as many calls take longer, and the host's time to make the calls is not what is
// measured.
TEST_F(CublasLibraryTest, TimingGrowsWithTheWorkAndHandsItsErrorsOn) {
  constexpr int64_t kCount = int64_t{16} << 20;
  Floats from = Floats::Poisoned(kernels(), kCount), to = Floats::Poisoned(kernels(), kCount);
  const auto time_copies = [&](int copies) {
    return TimeCublasCalls(kernels(), [&] {
      for (int i = 0; i < copies; ++i)
        RM_RETURN_IF_ERROR(kernels().Run(CopyFloatsCall{from.data(), to.data(), kCount}));
      return absl::OkStatus();
    });
  };
  ASSERT_TRUE(time_copies(1).ok());
  const auto few = time_copies(10), many = time_copies(100);
  ASSERT_TRUE(few.ok() && many.ok()) << few.status() << many.status();
  EXPECT_GT(*few, 0.0);
  EXPECT_GT(*many, 5 * *few);
  EXPECT_EQ(TimeCublasCalls(kernels(), [] { return absl::InternalError("broken"); }).status(),
            absl::InternalError("broken"));
}

TEST_F(CublasLibraryTest, BuffersOfNoBytesAndBuffersThatOutliveTheLibraryAreFine) {
  Buffer kept;
  {
    auto own = CreateCublas();
    ASSERT_TRUE(own.ok()) << own.status();
    ASSERT_TRUE((*own)->Allocate(0).ok());
    auto buffer = (*own)->Allocate(64);
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    kept = *std::move(buffer);
  }
  EXPECT_EQ(kernels().Run(FillZeroCall{kept.floats(), 16}), absl::OkStatus());
  EXPECT_EQ(kernels().Finish(), absl::OkStatus());
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Cublas, KernelOpTest,
                         ::testing::Values(KernelUnderTest{"cublas", CreateCublas}));
INSTANTIATE_TEST_SUITE_P(Cublas, ModelTest,
                         ::testing::Values(KernelUnderTest{"cublas", CreateCublas}));

}  // namespace ringmaster
