#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;

namespace {

struct NormCase {
  NormShape shape;
  float offset = 0;  // of the input, whose numbers spread over [-1, 1) around it
  float spread = 1;
};

// One row, one feature, one group, a group a channel, sizes that fill no vector, inputs far from 0
// and inputs all equal.
std::vector<NormCase> NormCases() {
  const NormKind layer = NormKind::kLayer, batch = NormKind::kBatch, group = NormKind::kGroup;
  return {{{layer, 1, 1}},         {{layer, 1, 7}},
          {{layer, 33, 128}, 50},  {{layer, 5, 1031}},
          {{layer, 3, 65}, 3, 0},  {{layer, 0, 4}},
          {{batch, 1, 3, 5}},      {{batch, 4, 5, 49}, -20},
          {{batch, 2, 1, 1}},      {{batch, 17, 3, 1}},
          {{batch, 8, 2, 1024}},   {{batch, 3, 4, 9}, 7, 0},
          {{group, 1, 4, 6, 1}},   {{group, 3, 6, 49, 2}, 10},
          {{group, 2, 5, 33, 5}},  {{group, 5, 12, 1, 3}},
          {{group, 2, 16, 64, 8}}, {{group, 2, 4, 10, 2}, -5, 0},
          {{group, 0, 4, 10, 2}}};
}

std::string Describe(const NormCase& norm) {
  return absl::StrCat("norm kind=", static_cast<int>(norm.shape.kind), " rows=", norm.shape.rows,
                      " features=", norm.shape.features, " pixels=", norm.shape.pixels,
                      " groups_per_image=", norm.shape.groups_per_image, " offset=", norm.offset,
                      " spread=", norm.spread);
}

std::vector<float> Spread(std::vector<float> values, const NormCase& norm) {
  for (float& value : values) value = norm.offset + norm.spread * value;
  return values;
}

// The feature and the group of an element.
struct Owner {
  int64_t feature, group;
};

Owner OwnerOf(const NormShape& shape, int64_t at) {
  if (shape.kind == NormKind::kLayer) return {at % shape.features, at / shape.features};
  const int64_t feature = at / (shape.rows * shape.pixels);
  if (shape.kind == NormKind::kBatch) return {feature, feature};
  const int64_t image = at / shape.pixels % shape.rows;
  return {feature,
          image * shape.groups_per_image + feature * shape.groups_per_image / shape.features};
}

// Bounds of what roundings do to the statistics of each group, from the statistics themselves.
struct NormBounds {
  std::vector<float> mean, inverse, variance, output;
};

// The mean is n additions and a division. The squares are of differences from that mean, so its
// error enters the variance only squared; the inverse deviation takes half the variance's relative
// error.
NormBounds BoundsOf(const NormShape& shape, const std::vector<float>& input,
                    const std::vector<float>& gain, const std::vector<float>& bias,
                    const std::vector<float>& mean, const std::vector<float>& inverse) {
  const int64_t n = shape.elements_per_group();
  NormBounds bounds;
  std::vector<double> magnitudes(shape.groups()), squares(shape.groups());
  for (int64_t i = 0; i < shape.count(); ++i) {
    const int64_t group = OwnerOf(shape, i).group;
    magnitudes[group] += std::fabs(input[i]) / static_cast<double>(n);
    squares[group] += std::pow(static_cast<double>(input[i]) - mean[group], 2);
  }
  for (int64_t group = 0; group < shape.groups(); ++group) {
    const double of_mean = (static_cast<double>(n) + 2) * kRounding * magnitudes[group];
    const double of_squares =
        (static_cast<double>(n) + 4) * kRounding * squares[group] + n * of_mean * of_mean;
    const double of_inverse =
        (0.5 * of_squares / n * inverse[group] * inverse[group] + 6 * kRounding) * inverse[group];
    bounds.mean.push_back(static_cast<float>(of_mean));
    bounds.inverse.push_back(static_cast<float>(of_inverse));
    bounds.variance.push_back(static_cast<float>(of_squares / std::max<double>(n - 1, 1)));
  }
  for (int64_t i = 0; i < shape.count(); ++i) {
    const auto [feature, group] = OwnerOf(shape, i);
    const double normalized = bounds.mean[group] * inverse[group] +
                              std::fabs(input[i] - mean[group]) *
                                  (bounds.inverse[group] + 4 * kRounding * inverse[group]);
    const double last = 4 * kRounding *
                        (std::fabs(input[i]) * inverse[group] * std::fabs(gain[feature]) +
                         std::fabs(bias[feature]));
    bounds.output.push_back(static_cast<float>(normalized * std::fabs(gain[feature]) + last));
  }
  return bounds;
}

std::vector<float> Negative(std::vector<float> values) {
  for (float& value : values) value = -value;
  return values;
}

}  // namespace

TEST_P(KernelOpTest, NormAgreesWithTheReference) {
  for (const NormCase& norm : NormCases()) {
    const NormShape& shape = norm.shape;
    const std::vector<float> input = Spread(RandomFloats(shape.count()), norm);
    const std::vector<float> gain = RandomFloats(shape.features),
                             bias = RandomFloats(shape.features);
    const Work operation = [&](KernelLibrary& kernels, int64_t offset) {
      Floats x(kernels, input, offset), device_gain(kernels, gain, 2 * offset),
          device_bias(kernels, bias, offset);
      Floats output = Floats::Poisoned(kernels, shape.count(), offset);
      Floats mean = Floats::Poisoned(kernels, shape.groups(), offset);
      Floats inverse = Floats::Poisoned(kernels, shape.groups(), offset);
      Floats variance = Floats::Poisoned(kernels, shape.groups(), offset);
      const bool corrected = shape.elements_per_group() > 1;
      EXPECT_EQ(kernels.Run(NormCall{shape, 1e-5f, x.data(), device_gain.data(), device_bias.data(),
                                     output.data(), mean.data(), inverse.data(),
                                     corrected ? variance.data() : nullptr}),
                absl::OkStatus());
      return Outputs{mean.Download(), inverse.Download(), output.Download(),
                     corrected ? variance.Download() : std::vector<float>(shape.groups())};
    };
    const Outputs actual = Repeat(operation, Describe(norm)), expected = operation(reference_, 0);
    const NormBounds bounds = BoundsOf(shape, input, gain, bias, expected[0], expected[1]);
    ExpectWithin(actual[0], expected[0], bounds.mean, 1, Describe(norm) + " mean");
    ExpectWithin(actual[1], expected[1], bounds.inverse, 1, Describe(norm) + " inverse deviation");
    ExpectWithin(actual[2], expected[2], bounds.output, 1, Describe(norm) + " output");
    ExpectWithin(actual[3], expected[3], bounds.variance, 1, Describe(norm) + " variance");
  }
}

// A difference, a factor of three roundings, an addition.
TEST_P(KernelOpTest, NormInferenceAgreesWithTheReference) {
  for (const NormCase& norm : NormCases()) {
    const NormShape& shape = norm.shape;
    if (shape.kind != NormKind::kBatch) continue;
    const std::vector<float> input = Spread(RandomFloats(shape.count()), norm);
    const std::vector<float> mean = Spread(RandomFloats(shape.features), norm);
    const std::vector<float> variance = Absolute(RandomFloats(shape.features));
    const std::vector<float> gain = RandomFloats(shape.features),
                             bias = RandomFloats(shape.features);
    const auto infer = [&](const std::vector<float>& inputs, const std::vector<float>& means,
                           const std::vector<float>& gains, const std::vector<float>& biases) {
      return [=](KernelLibrary& kernels, int64_t offset) {
        Floats x(kernels, inputs, offset), at(kernels, means, offset),
            variances(kernels, variance, offset);
        Floats device_gain(kernels, gains, 2 * offset), device_bias(kernels, biases, offset);
        Floats output = Floats::Poisoned(kernels, shape.count(), offset);
        EXPECT_EQ(
            kernels.Run(NormInferenceCall{shape, 1e-5f, x.data(), at.data(), variances.data(),
                                          device_gain.data(), device_bias.data(), output.data()}),
            absl::OkStatus());
        return Outputs{output.Download()};
      };
    };
    const Work operation = infer(input, mean, gain, bias);
    const Outputs scale = infer(Absolute(input), Negative(Absolute(mean)), Absolute(gain),
                                Absolute(bias))(reference_, 0);
    ExpectWithin(Repeat(operation, Describe(norm))[0], operation(reference_, 0)[0], scale[0],
                 8 * kRounding, Describe(norm));
  }
}

namespace {

// One case of the backward calls: the statistics are those of the input, as the reference has them.
struct NormBackwardArrays {
  std::vector<float> input, gain, mean, inverse, output_gradient;
};

// Sums of magnitudes instead: |x| + |mean| for x - mean.
NormBackwardArrays Magnitudes(const NormBackwardArrays& arrays) {
  return {Absolute(arrays.input), Absolute(arrays.gain), Negative(Absolute(arrays.mean)),
          arrays.inverse, Absolute(arrays.output_gradient)};
}

NormBackwardArrays WithStatistics(ReferenceLibrary& reference, const NormShape& shape,
                                  NormBackwardArrays arrays) {
  std::vector<float> output(shape.count()), bias(shape.features);
  arrays.mean.resize(shape.groups());
  arrays.inverse.resize(shape.groups());
  EXPECT_EQ(
      reference.Run(NormCall{shape, 1e-5f, arrays.input.data(), arrays.gain.data(), bias.data(),
                             output.data(), arrays.mean.data(), arrays.inverse.data(), nullptr}),
      absl::OkStatus());
  return arrays;
}

std::vector<std::vector<float>> ParamGradients(KernelLibrary& kernels, const NormShape& shape,
                                               const NormBackwardArrays& arrays, int64_t offset) {
  Floats input(kernels, arrays.input, offset), mean(kernels, arrays.mean, 2 * offset);
  Floats inverse(kernels, arrays.inverse, offset),
      output_gradient(kernels, arrays.output_gradient, 2 * offset);
  Floats gain_gradient = Floats::Poisoned(kernels, shape.features, offset);
  Floats bias_gradient = Floats::Poisoned(kernels, shape.features, offset);
  EXPECT_EQ(kernels.Run(NormParamGradientCall{shape, input.data(), mean.data(), inverse.data(),
                                              output_gradient.data(), gain_gradient.data(),
                                              bias_gradient.data()}),
            absl::OkStatus());
  return {gain_gradient.Download(), bias_gradient.Download()};
}

std::vector<float> InputGradient(KernelLibrary& kernels, const NormShape& shape,
                                 const NormBackwardArrays& arrays, int64_t offset) {
  Floats input(kernels, arrays.input, offset), mean(kernels, arrays.mean, 2 * offset);
  Floats gain(kernels, arrays.gain, offset), inverse(kernels, arrays.inverse, offset);
  Floats output_gradient(kernels, arrays.output_gradient, 2 * offset);
  Floats input_gradient = Floats::Poisoned(kernels, shape.count(), offset);
  EXPECT_EQ(kernels.Run(NormInputGradientCall{shape, input.data(), gain.data(), mean.data(),
                                              inverse.data(), output_gradient.data(),
                                              input_gradient.data()}),
            absl::OkStatus());
  return input_gradient.Download();
}

}  // namespace

// As many terms as a feature has elements, each of three roundings.
TEST_P(KernelOpTest, NormParamGradientAgreesWithTheReference) {
  for (const NormCase& norm : NormCases()) {
    const NormShape& shape = norm.shape;
    const NormBackwardArrays arrays = WithStatistics(reference_, shape,
                                                     {Spread(RandomFloats(shape.count()), norm),
                                                      RandomFloats(shape.features),
                                                      {},
                                                      {},
                                                      RandomFloats(shape.count())});
    const Outputs actual =
        Repeat([&](KernelLibrary& kernels,
                   int64_t offset) { return ParamGradients(kernels, shape, arrays, offset); },
               Describe(norm));
    const Outputs expected = ParamGradients(reference_, shape, arrays, 0);
    const Outputs scale = ParamGradients(reference_, shape, Magnitudes(arrays), 0);
    const double roundings = static_cast<double>(shape.rows * shape.pixels) + 4;
    for (const size_t i : {0, 1}) {
      ExpectWithin(actual[i], expected[i], scale[i], roundings * kRounding, Describe(norm));
    }
  }
}

// Three terms, of which two are means over the group. The reference of the magnitudes gives their
// difference; with twice the first it becomes their sum.
TEST_P(KernelOpTest, NormInputGradientAgreesWithTheReference) {
  for (const NormCase& norm : NormCases()) {
    const NormShape& shape = norm.shape;
    const NormBackwardArrays arrays = WithStatistics(reference_, shape,
                                                     {Spread(RandomFloats(shape.count()), norm),
                                                      RandomFloats(shape.features),
                                                      {},
                                                      {},
                                                      RandomFloats(shape.count())});
    const Outputs actual = Repeat(
        [&](KernelLibrary& kernels, int64_t offset) {
          return Outputs{InputGradient(kernels, shape, arrays, offset)};
        },
        Describe(norm));
    const std::vector<float> expected = InputGradient(reference_, shape, arrays, 0);
    std::vector<float> scale = InputGradient(reference_, shape, Magnitudes(arrays), 0);
    for (int64_t i = 0; i < shape.count(); ++i) {
      const auto [feature, group] = OwnerOf(shape, i);
      scale[i] =
          2 * std::fabs(arrays.output_gradient[i] * arrays.gain[feature]) * arrays.inverse[group] -
          scale[i];
    }
    const double roundings = static_cast<double>(shape.elements_per_group()) + 12;
    ExpectWithin(actual[0], expected, scale, roundings * kRounding, Describe(norm));
  }
}

}  // namespace ringmaster
