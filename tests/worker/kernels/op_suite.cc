#include "tests/worker/kernels/op_suite.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/device_array.h"

namespace ringmaster {

using Floats = DeviceArray<float>;
using Bytes = DeviceArray<uint8_t>;
using Ints = DeviceArray<int32_t>;

// Half a unit in the last place, relative: what one rounding costs.
constexpr double kRounding = 0x1p-24;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

void KernelOpTest::SetUp() {
  const uint64_t seed = 1 + GTEST_FLAG_GET(random_seed);
  std::printf("seed: --gtest_random_seed=%llu\n", static_cast<unsigned long long>(seed - 1));
  random_ = Random(seed);
  auto kernels = GetParam().create();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  kernels_ = *std::move(kernels);
}

std::vector<float> KernelOpTest::RandomFloats(int64_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = 2.0f * random_.Uniform() - 1.0f;
  return values;
}

namespace {

std::vector<float> Absolute(std::vector<float> values) {
  for (float& value : values) value = std::fabs(value);
  return values;
}

// Equal as numbers, or both NaN.
void ExpectSame(const std::vector<float>& actual, const std::vector<float>& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    const bool same = actual[i] == expected[i] || (std::isnan(actual[i]) && std::isnan(expected[i]));
    ASSERT_TRUE(same) << what << ": element " << i << " is " << actual[i] << ", expected " << expected[i];
  }
}

// |actual - expected| <= factor * scale[i]; NaN fails.
void ExpectWithin(const std::vector<float>& actual, const std::vector<float>& expected,
                  const std::vector<float>& scale, double factor, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::fabs(static_cast<double>(actual[i]) - expected[i]);
    ASSERT_LE(error, factor * scale[i]) << what << ": element " << i << " is " << actual[i] << ", expected "
                                        << expected[i];
  }
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

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

int64_t ElementsOfA(const GemmCall& call) { return (call.transpose_a ? call.k : call.m) * call.lda; }
int64_t ElementsOfB(const GemmCall& call) { return (call.transpose_b ? call.n : call.k) * call.ldb; }

std::string Describe(const GemmCall& call) {
  return absl::StrCat("gemm ", call.transpose_a ? "T" : "N", call.transpose_b ? "T" : "N", " m=", call.m,
                      " n=", call.n, " k=", call.k, " alpha=", call.alpha, " beta=", call.beta, " lda=", call.lda,
                      " ldb=", call.ldb, " ldc=", call.ldc);
}

// c of `call` on host memory by the reference.
std::vector<float> Multiply(ReferenceLibrary& reference, GemmCall call, const std::vector<float>& a,
                            const std::vector<float>& b, std::vector<float> c) {
  call.a = a.data();
  call.b = b.data();
  call.c = c.data();
  EXPECT_EQ(reference.Gemm(call), absl::OkStatus());
  return c;
}

}  // namespace

// k products and their sum, scaled and added to c, in any order and fused or not: k + 3 roundings relative to the sum
// of absolute terms, plus the two of the reference and of the scale itself.
TEST_P(KernelOpTest, GemmAgreesWithTheReferenceForAllTransposesAndRowLengths) {
  const std::vector<GemmCase> cases = {{1, 1, 1},    {3, 5, 7},     {17, 33, 9},  {20, 576, 25}, {50, 128, 500},
                                       {500, 64, 50}, {32, 500, 80}, {10, 50, 32}, {1, 64, 100},  {64, 1, 100},
                                       {2, 3, 4097},  {0, 4, 3},     {4, 0, 3},    {4, 3, 0}};
  const std::vector<std::pair<float, float>> factors = {{1.0f, 0.0f}, {1.0f, 1.0f}, {0.5f, -2.0f}};
  for (const GemmCase& sizes : cases) {
    for (int variant = 0; variant < 12; ++variant) {
      GemmCall call = CallOf(sizes, variant);
      std::tie(call.alpha, call.beta) = factors[variant / 4];
      const std::vector<float> a = RandomFloats(ElementsOfA(call));
      const std::vector<float> b = RandomFloats(ElementsOfB(call));
      const std::vector<float> c =
          call.beta == 0.0f ? std::vector<float>(call.m * call.ldc, kNan) : RandomFloats(call.m * call.ldc);
      const std::vector<float> expected = Multiply(reference_, call, a, b, c);
      GemmCall absolute = call;
      absolute.alpha = std::fabs(call.alpha);
      absolute.beta = std::fabs(call.beta);
      const std::vector<float> scale = Multiply(reference_, absolute, Absolute(a), Absolute(b), Absolute(c));

      Floats device_a(kernels(), a, RandomOffset()), device_b(kernels(), b, RandomOffset());
      Floats device_c(kernels(), c, RandomOffset());
      call.a = device_a.data();
      call.b = device_b.data();
      call.c = device_c.data();
      ASSERT_EQ(kernels().Gemm(call), absl::OkStatus()) << Describe(call);
      const std::vector<float> actual = device_c.Download();
      for (int64_t i = 0; i < call.m * call.ldc; ++i) {
        if (i % call.ldc >= call.n) {
          ASSERT_EQ(std::memcmp(&actual[i], &c[i], sizeof(float)), 0) << Describe(call) << ": wrote behind a row";
          continue;
        }
        const double error = std::fabs(static_cast<double>(actual[i]) - expected[i]);
        ASSERT_LE(error, (static_cast<double>(call.k) + 5) * kRounding * scale[i])
            << Describe(call) << " element " << i << " is " << actual[i] << ", expected " << expected[i];
      }
    }
  }
}

TEST_P(KernelOpTest, AddBiasGivesTheReferencesValuesAndKeepsNan) {
  for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 7}, {32, 500}, {5, 1031}}) {
    for (int variant = 0; variant < 4; ++variant) {
      const BiasAxis axis = variant % 2 != 0 ? BiasAxis::kPerRow : BiasAxis::kPerColumn;
      const std::string what = absl::StrCat("bias rows=", rows, " cols=", cols, " variant=", variant);
      std::vector<float> data = RandomFloats(rows * cols);
      data[random_.Below(data.size())] = kNan;
      const std::vector<float> bias = RandomFloats(axis == BiasAxis::kPerRow ? rows : cols);
      Floats device_data(kernels(), data, RandomOffset()), device_bias(kernels(), bias, RandomOffset());
      BiasCall call{device_data.data(), rows, cols, device_bias.data(), axis, variant / 2 != 0};
      ASSERT_EQ(kernels().AddBias(call), absl::OkStatus()) << what;
      call.data = data.data();
      call.bias = bias.data();
      ASSERT_EQ(reference_.AddBias(call), absl::OkStatus());
      ExpectSame(device_data.Download(), data, what);
    }
  }
}

// n terms in any order: n - 1 roundings relative to the sum of absolute terms.
TEST_P(KernelOpTest, BiasGradientAgreesWithTheReference) {
  for (const auto& [rows, cols] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 7}, {32, 500}, {20, 4613}, {129, 31}, {2, 0}}) {
    for (const BiasAxis axis : {BiasAxis::kPerColumn, BiasAxis::kPerRow}) {
      const bool per_row = axis == BiasAxis::kPerRow;
      const std::string what = absl::StrCat("bias gradient rows=", rows, " cols=", cols, " per_row=", per_row);
      const std::vector<float> gradient = RandomFloats(rows * cols), absolute = Absolute(gradient);
      Floats device_gradient(kernels(), gradient, RandomOffset());
      Floats device_sums = Floats::Poisoned(kernels(), per_row ? rows : cols, RandomOffset());
      ASSERT_EQ(kernels().BiasGradient({device_gradient.data(), rows, cols, device_sums.data(), axis}),
                absl::OkStatus());
      std::vector<float> expected(device_sums.count()), scale(device_sums.count());
      ASSERT_EQ(reference_.BiasGradient({gradient.data(), rows, cols, expected.data(), axis}), absl::OkStatus());
      ASSERT_EQ(reference_.BiasGradient({absolute.data(), rows, cols, scale.data(), axis}), absl::OkStatus());
      ExpectWithin(device_sums.Download(), expected, scale, static_cast<double>(per_row ? cols : rows) * kRounding,
                   what);
    }
  }
}

TEST_P(KernelOpTest, ReluBackwardPassesExactlyTheGradientsOfPositiveOutputs) {
  for (const int64_t count : {0, 1, 7, 64, 1031, 65537}) {
    std::vector<float> output = RandomFloats(count), gradient = RandomFloats(count);
    for (size_t i = 0; i < output.size(); i += 3) output[i] = i % 2 == 0 ? 0.0f : kNan;
    Floats device_output(kernels(), output, RandomOffset()), device_gradient(kernels(), gradient, RandomOffset());
    ASSERT_EQ(kernels().ReluBackward({device_output.data(), device_gradient.data(), count}), absl::OkStatus());
    ASSERT_EQ(reference_.ReluBackward({output.data(), gradient.data(), count}), absl::OkStatus());
    ExpectSame(device_gradient.Download(), gradient, absl::StrCat("relu backward count=", count));
  }
}

namespace {

struct WindowCase {
  ConvShape shape;
  int64_t image_begin, image_count;
};

// Channels, images, height, width, kernel, padding; the images worked on.
std::vector<WindowCase> WindowCases() {
  return {{{1, 1, 1, 1, 1, 0}, 0, 1},   {{1, 4, 28, 28, 5, 0}, 0, 4},   {{3, 5, 9, 7, 3, 0}, 1, 3},
          {{20, 3, 12, 12, 5, 0}, 1, 2}, {{2, 3, 6, 11, 3, 1}, 0, 3},    {{2, 2, 5, 4, 5, 2}, 1, 1},
          {{1, 2, 3, 2, 5, 3}, 0, 2},    {{2, 3, 8, 19, 4, 0}, 2, 1},    {{2, 3, 8, 8, 3, 1}, 1, 0},
          {{4, 2, 6, 16, 1, 0}, 0, 2},   {{1, 2, 10, 39, 5, 2}, 0, 2}};
}

std::string Describe(const WindowCase& window) {
  const ConvShape& shape = window.shape;
  return absl::StrCat("channels=", shape.channels, " images=", shape.images, " height=", shape.height,
                      " width=", shape.width, " kernel=", shape.kernel, " padding=", shape.padding,
                      " begin=", window.image_begin, " count=", window.image_count);
}

int64_t InputElements(const ConvShape& shape) { return shape.channels * shape.images * shape.height * shape.width; }

int64_t ColumnElements(const WindowCase& window) {
  const ConvShape& shape = window.shape;
  return shape.channels * shape.kernel * shape.kernel * window.image_count * shape.out_height() * shape.out_width();
}

}  // namespace

TEST_P(KernelOpTest, Im2ColGivesTheReferencesValues) {
  for (const WindowCase& window : WindowCases()) {
    const std::vector<float> input = RandomFloats(InputElements(window.shape));
    std::vector<float> expected(ColumnElements(window));
    Floats device_input(kernels(), input, RandomOffset());
    Floats columns = Floats::Poisoned(kernels(), ColumnElements(window), RandomOffset());
    Im2ColCall call{window.shape, window.image_begin, window.image_count, device_input.data(), columns.data()};
    ASSERT_EQ(kernels().Im2Col(call), absl::OkStatus()) << Describe(window);
    call.input = input.data();
    call.columns = expected.data();
    ASSERT_EQ(reference_.Im2Col(call), absl::OkStatus());
    ExpectSame(columns.Download(), expected, Describe(window));
  }
}

// A pixel takes part in at most kernel^2 windows: as many additions, relative to the sum of absolute terms.
TEST_P(KernelOpTest, Col2ImAddsToTheImagesInTheRangeAlone) {
  for (const WindowCase& window : WindowCases()) {
    const std::vector<float> columns = RandomFloats(ColumnElements(window));
    const std::vector<float> before = RandomFloats(InputElements(window.shape));
    const std::vector<float> absolute = Absolute(columns);
    std::vector<float> expected = before, scale = Absolute(before);
    Floats device_columns(kernels(), columns, RandomOffset()), gradient(kernels(), before, RandomOffset());
    Col2ImCall call{window.shape, window.image_begin, window.image_count, device_columns.data(), gradient.data()};
    ASSERT_EQ(kernels().Col2Im(call), absl::OkStatus()) << Describe(window);
    call.columns = columns.data();
    call.input_gradient = expected.data();
    ASSERT_EQ(reference_.Col2Im(call), absl::OkStatus());
    call.columns = absolute.data();
    call.input_gradient = scale.data();
    ASSERT_EQ(reference_.Col2Im(call), absl::OkStatus());
    const std::vector<float> actual = gradient.Download();
    const double taps = static_cast<double>(window.shape.kernel * window.shape.kernel);
    ExpectWithin(actual, expected, scale, (taps + 1) * kRounding, Describe(window));
    for (int64_t i = 0; i < gradient.count(); ++i) {
      const int64_t image = i / (window.shape.height * window.shape.width) % window.shape.images;
      const bool in_range = image >= window.image_begin && image < window.image_begin + window.image_count;
      ASSERT_TRUE(in_range || actual[i] == before[i]) << Describe(window) << ": image " << image << " was changed";
    }
  }
}

namespace {

struct PlaneCase {
  int64_t planes, height, width;
};

std::vector<PlaneCase> PlaneCases() {
  return {{1, 2, 2}, {3, 4, 6}, {5, 24, 24}, {7, 8, 8}, {2, 6, 14}, {2, 2, 34}, {1, 10, 2}, {0, 4, 4}};
}

}  // namespace

TEST_P(KernelOpTest, MaxPoolTakesTheFirstLargest) {
  for (const PlaneCase& sizes : PlaneCases()) {
    const std::string what = absl::StrCat("max pool ", sizes.planes, "x", sizes.height, "x", sizes.width);
    const int64_t count = sizes.planes * sizes.height * sizes.width;
    // Few different values, so that windows have ties.
    std::vector<float> input(count);
    for (float& value : input) value = static_cast<float>(random_.Below(4)) - 2.0f;
    std::vector<float> expected(count / 4);
    std::vector<uint8_t> expected_argmax(count / 4);
    Floats device_input(kernels(), input, RandomOffset());
    Floats output = Floats::Poisoned(kernels(), count / 4, RandomOffset());
    Bytes argmax = Bytes::Poisoned(kernels(), count / 4, RandomOffset());
    ASSERT_EQ(kernels().MaxPool({sizes.planes, sizes.height, sizes.width, device_input.data(), output.data(),
                                 argmax.data()}),
              absl::OkStatus());
    ASSERT_EQ(reference_.MaxPool({sizes.planes, sizes.height, sizes.width, input.data(), expected.data(),
                                  expected_argmax.data()}),
              absl::OkStatus());
    ExpectSame(output.Download(), expected, what);
    EXPECT_EQ(argmax.Download(), expected_argmax) << what;
  }
}

TEST_P(KernelOpTest, MaxPoolBackwardOverwritesTheWholeInputGradient) {
  for (const PlaneCase& sizes : PlaneCases()) {
    const int64_t count = sizes.planes * sizes.height * sizes.width;
    const std::vector<float> gradient = RandomFloats(count / 4);
    std::vector<uint8_t> argmax(count / 4);
    for (uint8_t& position : argmax) position = static_cast<uint8_t>(random_.Below(4));
    std::vector<float> expected(count);
    Floats device_gradient(kernels(), gradient, RandomOffset());
    Bytes device_argmax(kernels(), argmax, RandomOffset());
    Floats input_gradient = Floats::Poisoned(kernels(), count, RandomOffset());
    ASSERT_EQ(kernels().MaxPoolBackward({sizes.planes, sizes.height, sizes.width, device_gradient.data(),
                                         device_argmax.data(), input_gradient.data()}),
              absl::OkStatus());
    ASSERT_EQ(reference_.MaxPoolBackward({sizes.planes, sizes.height, sizes.width, gradient.data(), argmax.data(),
                                          expected.data()}),
              absl::OkStatus());
    ExpectSame(input_gradient.Download(), expected,
               absl::StrCat("max pool backward ", sizes.planes, "x", sizes.height, "x", sizes.width));
  }
}

TEST_P(KernelOpTest, SwapAxesMovesEveryElement) {
  for (const PlaneCase& sizes : {PlaneCase{1, 1, 1}, {3, 5, 7}, {50, 32, 16}, {2, 3, 1}, {4, 1, 9}, {3, 2, 785}}) {
    const int64_t count = sizes.planes * sizes.height * sizes.width;
    const std::vector<float> input = RandomFloats(count);
    std::vector<float> expected(count);
    Floats device_input(kernels(), input, RandomOffset());
    Floats output = Floats::Poisoned(kernels(), count, RandomOffset());
    ASSERT_EQ(kernels().SwapAxes({sizes.planes, sizes.height, sizes.width, device_input.data(), output.data()}),
              absl::OkStatus());
    ASSERT_EQ(reference_.SwapAxes({sizes.planes, sizes.height, sizes.width, input.data(), expected.data()}),
              absl::OkStatus());
    ExpectSame(output.Download(), expected,
               absl::StrCat("swap axes ", sizes.planes, "x", sizes.height, "x", sizes.width));
  }
}

// Exponentials good to 4 units in the last place of arguments that are themselves rounded once (relative to the
// spread of the logits), and a sum of `classes` terms.
TEST_P(KernelOpTest, SoftmaxCrossEntropyAgreesWithTheReference) {
  for (const auto& [rows, classes] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 2}, {32, 10}, {7, 1000}}) {
    for (const float spread : {0.0f, 1.0f, 30.0f, 5000.0f}) {
      const std::string what = absl::StrCat("softmax rows=", rows, " classes=", classes, " spread=", spread);
      std::vector<float> logits = RandomFloats(rows * classes);
      for (float& logit : logits) logit *= spread;
      std::vector<int32_t> labels(rows);
      for (int32_t& label : labels) label = static_cast<int32_t>(random_.Below(classes));
      std::vector<float> loss(rows), correct(rows), gradient(rows * classes);
      Floats device_logits(kernels(), logits, RandomOffset());
      Ints device_labels(kernels(), labels, RandomOffset());
      Floats device_loss = Floats::Poisoned(kernels(), rows), device_correct = Floats::Poisoned(kernels(), rows);
      Floats device_gradient = Floats::Poisoned(kernels(), rows * classes, RandomOffset());
      const float scale = 1.0f / static_cast<float>(rows);
      ASSERT_EQ(kernels().SoftmaxCrossEntropy({rows, classes, device_logits.data(), device_labels.data(),
                                               device_loss.data(), device_correct.data(), device_gradient.data(),
                                               scale}),
                absl::OkStatus());
      ASSERT_EQ(reference_.SoftmaxCrossEntropy({rows, classes, logits.data(), labels.data(), loss.data(),
                                                correct.data(), gradient.data(), scale}),
                absl::OkStatus());
      const double relative = (2.0 * spread + static_cast<double>(classes) + 16.0) * kRounding;
      ExpectWithin(device_loss.Download(), loss, std::vector<float>(rows, 1.0f + 2.0f * spread), relative, what);
      ExpectSame(device_correct.Download(), correct, what);
      ExpectWithin(device_gradient.Download(), gradient, std::vector<float>(rows * classes, scale), 2.0 * relative,
                   what);
    }
  }
}

TEST_P(KernelOpTest, SoftmaxCrossEntropyWithoutAGradientGivesTheSameLoss) {
  const std::vector<float> logits = RandomFloats(5 * 10);
  Floats device_logits(kernels(), logits);
  Ints labels(kernels(), {0, 3, 9, 1, 1});
  Floats loss = Floats::Poisoned(kernels(), 5), loss_alone = Floats::Poisoned(kernels(), 5);
  Floats correct = Floats::Poisoned(kernels(), 5), gradient = Floats::Poisoned(kernels(), 50);
  SoftmaxCrossEntropyCall call{5, 10, device_logits.data(), labels.data(), loss.data(), correct.data(),
                               gradient.data(), 0.2f};
  ASSERT_EQ(kernels().SoftmaxCrossEntropy(call), absl::OkStatus());
  call.row_loss = loss_alone.data();
  call.gradient = nullptr;
  ASSERT_EQ(kernels().SoftmaxCrossEntropy(call), absl::OkStatus());
  EXPECT_TRUE(SameBits(loss.Download(), loss_alone.Download()));
}

TEST_P(KernelOpTest, FillZeroFillsExactlyItsRange) {
  for (const int64_t count : {0, 1, 13, 4099}) {
    Floats data = Floats::Poisoned(kernels(), count, RandomOffset());
    ASSERT_EQ(kernels().FillZero(data.data(), count), absl::OkStatus());
    ExpectSame(data.Download(), std::vector<float>(count, 0.0f), absl::StrCat("fill zero count=", count));
  }
}

TEST_P(KernelOpTest, SizesThatMakeNoSenseAreRefusedWithTheirValues) {
  Floats memory = Floats::Poisoned(kernels(), 64);
  Bytes argmax = Bytes::Poisoned(kernels(), 64);
  float* data = memory.data();
  GemmCall gemm{false, false, 4, 4, 4, 1.0f, data, 4, data, 4, 0.0f, data, 3};
  std::vector<absl::Status> refusals = {
      kernels().Gemm(gemm),
      kernels().AddBias({data, -1, 4, data}),
      kernels().BiasGradient({data, 4, -1, data}),
      kernels().ReluBackward({data, data, -1}),
      kernels().Im2Col({{1, 1, 4, 4, 5, 0}, 0, 1, data, data}),
      kernels().Im2Col({{1, 2, 4, 4, 3, 0}, 1, 2, data, data}),
      kernels().Col2Im({{1, 2, 4, 4, 3, 0}, -1, 2, data, data}),
      kernels().MaxPool({1, 3, 4, data, data, argmax.data()}),
      kernels().MaxPoolBackward({1, 4, 5, data, argmax.data(), data}),
      kernels().SwapAxes({1, -2, 3, data, data}),
      kernels().SoftmaxCrossEntropy({1, 0, data, nullptr, data, data, data, 1.0f}),
      kernels().FillZero(data, -1),
  };
  for (size_t i = 0; i < refusals.size(); ++i) {
    EXPECT_EQ(refusals[i].code(), absl::StatusCode::kInvalidArgument) << "refusal " << i << ": " << refusals[i];
  }
  EXPECT_NE(refusals[0].message().find("ldc=3"), absl::string_view::npos) << refusals[0];
  for (const float value : memory.Download()) EXPECT_TRUE(std::isnan(value));
}

TEST_P(KernelOpTest, ASecondLibraryGivesTheSameBits) {
  auto second = GetParam().create();
  ASSERT_TRUE(second.ok()) << second.status();
  for (const GemmCase& sizes : {GemmCase{20, 576, 25}, {50, 500, 512}, {500, 800, 32}, {32, 500, 800}, {7, 9, 11}}) {
    GemmCall call = CallOf(sizes, static_cast<int>(sizes.m) % 4);
    const std::vector<float> a = RandomFloats(ElementsOfA(call)), b = RandomFloats(ElementsOfB(call));
    std::vector<std::vector<float>> results;
    for (KernelLibrary* kernels : {&this->kernels(), second->get(), &this->kernels()}) {
      Floats device_a(*kernels, a), device_b(*kernels, b);
      Floats device_c(*kernels, std::vector<float>(call.m * call.ldc, 0.0f));
      call.a = device_a.data();
      call.b = device_b.data();
      call.c = device_c.data();
      ASSERT_EQ(kernels->Gemm(call), absl::OkStatus()) << Describe(call);
      results.push_back(device_c.Download());
    }
    EXPECT_TRUE(SameBits(results[0], results[1]) && SameBits(results[0], results[2])) << Describe(call);
  }
}

}  // namespace ringmaster
