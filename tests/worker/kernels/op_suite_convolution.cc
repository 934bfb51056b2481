#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;

namespace {

struct WindowCase {
  ConvShape shape;
  int64_t image_begin, image_count;
};

// Channels, images, height, width, kernel, padding and stride; the images worked on.
std::vector<WindowCase> WindowCases() {
  return {
      {{1, 1, 1, 1, 1, 0}, 0, 1},    {{1, 4, 28, 28, 5, 0}, 0, 4},   {{3, 5, 9, 7, 3, 0}, 1, 3},
      {{20, 3, 12, 12, 5, 0}, 1, 2}, {{2, 3, 6, 11, 3, 1}, 0, 3},    {{2, 2, 5, 4, 5, 2}, 1, 1},
      {{1, 2, 3, 2, 5, 3}, 0, 2},    {{2, 3, 8, 19, 4, 0}, 2, 1},    {{2, 3, 8, 8, 3, 1}, 1, 0},
      {{4, 2, 6, 16, 1, 0}, 0, 2},   {{1, 2, 10, 39, 5, 2}, 0, 2},   {{2, 3, 9, 7, 3, 1, 2}, 0, 3},
      {{3, 2, 8, 8, 3, 1, 2}, 1, 1}, {{2, 2, 7, 33, 1, 0, 2}, 0, 2}, {{1, 3, 11, 5, 2, 0, 3}, 1, 2},
      {{2, 1, 3, 2, 5, 3, 4}, 0, 1}, {{1, 2, 1, 1, 3, 1, 2}, 0, 2},  {{2, 3, 2, 1, 5, 2}, 1, 2},
      {{1, 3, 1, 4, 5, 2}, 0, 3}};
}

std::string Describe(const WindowCase& window) {
  const ConvShape& shape = window.shape;
  return absl::StrCat("channels=", shape.channels, " images=", shape.images,
                      " height=", shape.height, " width=", shape.width, " kernel=", shape.kernel,
                      " padding=", shape.padding, " stride=", shape.stride,
                      " begin=", window.image_begin, " count=", window.image_count);
}

int64_t InputElements(const ConvShape& shape) {
  return shape.channels * shape.images * shape.height * shape.width;
}

int64_t ColumnElements(const WindowCase& window) {
  const ConvShape& shape = window.shape;
  return shape.channels * shape.kernel * shape.kernel * window.image_count * shape.out_height() *
         shape.out_width();
}

}  // namespace

TEST_P(KernelOpTest, Im2ColGivesTheReferencesValues) {
  for (const WindowCase& window : WindowCases()) {
    const std::vector<float> input = RandomFloats(InputElements(window.shape));
    std::vector<float> expected(ColumnElements(window));
    Floats device_input(kernels(), input, RandomOffset());
    Floats columns = Floats::Poisoned(kernels(), ColumnElements(window), RandomOffset());
    Im2ColCall call{window.shape, window.image_begin, window.image_count, device_input.data(),
                    columns.data()};
    ASSERT_EQ(kernels().Run(call), absl::OkStatus()) << Describe(window);
    call.input = input.data();
    call.columns = expected.data();
    ASSERT_EQ(reference_.Run(call), absl::OkStatus());
    ExpectSame(columns.Download(), expected, Describe(window));
  }
}

// A pixel takes part in at most kernel^2 windows: as many additions, relative to the sum of
// absolute terms.
TEST_P(KernelOpTest, Col2ImAddsToTheImagesInTheRangeAlone) {
  for (const WindowCase& window : WindowCases()) {
    const std::vector<float> columns = RandomFloats(ColumnElements(window));
    const std::vector<float> before = RandomFloats(InputElements(window.shape));
    const std::vector<float> absolute = Absolute(columns);
    std::vector<float> expected = before, scale = Absolute(before);
    Floats device_columns(kernels(), columns, RandomOffset()),
        gradient(kernels(), before, RandomOffset());
    Col2ImCall call{window.shape, window.image_begin, window.image_count, device_columns.data(),
                    gradient.data()};
    ASSERT_EQ(kernels().Run(call), absl::OkStatus()) << Describe(window);
    call.columns = columns.data();
    call.input_gradient = expected.data();
    ASSERT_EQ(reference_.Run(call), absl::OkStatus());
    call.columns = absolute.data();
    call.input_gradient = scale.data();
    ASSERT_EQ(reference_.Run(call), absl::OkStatus());
    const std::vector<float> actual = gradient.Download();
    const double taps = static_cast<double>(window.shape.kernel * window.shape.kernel);
    ExpectWithin(actual, expected, scale, (taps + 1) * kRounding, Describe(window));
    for (int64_t i = 0; i < gradient.count(); ++i) {
      const int64_t image = i / (window.shape.height * window.shape.width) % window.shape.images;
      const bool in_range =
          image >= window.image_begin && image < window.image_begin + window.image_count;
      ASSERT_TRUE(in_range || actual[i] == before[i])
          << Describe(window) << ": image " << image << " was changed";
    }
  }
}

// All images of a shape, to `out_channels` channels.
struct ConvolutionCase {
  ConvShape shape;
  int64_t out_channels;
};

std::vector<ConvolutionCase> ConvolutionCases() {
  return {{{1, 3, 5, 7, 3, 1}, 5},     {{2, 2, 6, 6, 5, 2}, 33},   {{3, 2, 9, 17, 5, 0}, 70},
          {{16, 2, 8, 8, 3, 1}, 16},   {{4, 1, 30, 29, 1, 0}, 20}, {{2, 2, 3, 3, 7, 3}, 3},
          {{1, 1, 20, 20, 9, 4}, 64},  {{1, 1, 1, 1, 1, 0}, 1},    {{3, 2, 8, 8, 3, 1, 2}, 6},
          {{2, 3, 7, 33, 1, 0, 2}, 4}, {{2, 2, 5, 5, 2, 3}, 7},    {{32, 2, 14, 14, 5, 2}, 64},
          {{1, 3, 28, 28, 5, 2}, 32},  {{3, 2, 9, 7, 3, 1}, 32},   {{2, 2, 5, 31, 3, 0}, 64},
          {{32, 1, 8, 17, 3, 1}, 32},  {{15, 2, 6, 15, 2, 1}, 96}, {{1, 1, 1, 4, 5, 2}, 32},
          {{64, 2, 3, 2, 1, 0}, 32}};
}

// Gives the three results of a convolution: output, weight gradient, input gradient.
struct ConvolutionInputs {
  std::vector<float> input, weights, output_gradient;
};

std::vector<std::vector<float>> RunConvolution(const ConvolutionCase& window,
                                               const ConvolutionInputs& inputs,
                                               KernelLibrary& kernels, int64_t offset) {
  const ConvShape& shape = window.shape;
  // As if larger batches came, too: the scratch is made for those.
  ConvShape largest = shape;
  largest.images = 2 * shape.images + 1;
  Floats input(kernels, inputs.input, offset), weights(kernels, inputs.weights, offset);
  Floats output_gradient(kernels, inputs.output_gradient, offset);
  Floats output = Floats::Poisoned(kernels, output_gradient.count(), offset);
  Floats weight_gradient = Floats::Poisoned(kernels, weights.count(), offset);
  Floats input_gradient = Floats::Poisoned(kernels, input.count(), offset);
  Floats scratch = Floats::Poisoned(
      kernels, kernels.convolution_scratch_floats(largest, window.out_channels), offset);
  EXPECT_EQ(kernels.Run(ConvolutionCall{shape, largest, window.out_channels, input.data(),
                                        weights.data(), output.data(), scratch.data()}),
            absl::OkStatus());
  EXPECT_EQ(kernels.Run(ConvolutionWeightGradientCall{shape, largest, window.out_channels,
                                                      input.data(), output_gradient.data(),
                                                      weight_gradient.data(), scratch.data()}),
            absl::OkStatus());
  EXPECT_EQ(kernels.Run(ConvolutionInputGradientCall{shape, largest, window.out_channels,
                                                     weights.data(), output_gradient.data(),
                                                     input_gradient.data(), scratch.data()}),
            absl::OkStatus());
  scratch.Download();
  return {output.Download(), weight_gradient.Download(), input_gradient.Download()};
}

// A sum of n products in any order: n roundings each, relative to the sum of absolute products.
TEST_P(KernelOpTest, ConvolutionsGiveTheReferencesSums) {
  for (const ConvolutionCase& window : ConvolutionCases()) {
    const ConvShape& shape = window.shape;
    const int64_t outputs =
        window.out_channels * shape.images * shape.out_height() * shape.out_width();
    const int64_t window_taps = shape.kernel * shape.kernel;
    const ConvolutionInputs inputs{RandomFloats(InputElements(shape)),
                                   RandomFloats(window.out_channels * shape.channels * window_taps),
                                   RandomFloats(outputs)};
    const ConvolutionInputs absolute{Absolute(inputs.input), Absolute(inputs.weights),
                                     Absolute(inputs.output_gradient)};
    const std::string what =
        absl::StrCat(Describe(WindowCase{shape, 0, shape.images}), " out=", window.out_channels);
    const auto actual =
        Repeat([&](KernelLibrary& kernels,
                   int64_t offset) { return RunConvolution(window, inputs, kernels, offset); },
               what);
    const auto expected = RunConvolution(window, inputs, reference_, 0);
    const auto scale = RunConvolution(window, absolute, reference_, 0);
    const double terms[] = {
        static_cast<double>(shape.channels * window_taps),
        static_cast<double>(shape.images * shape.out_height() * shape.out_width()),
        static_cast<double>(window.out_channels * window_taps)};
    for (int i = 0; i < 3; ++i) {
      ExpectWithin(actual[i], expected[i], scale[i], (terms[i] + 2) * kRounding,
                   absl::StrCat(what, " result ", i));
    }
  }
}

}  // namespace ringmaster
