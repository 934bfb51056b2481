#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "worker/kernels/dropout_mask.h"
#include "worker/kernels/reference/reference_library.h"

namespace ringmaster {
namespace {

// The oracle itself: forward against a second one in double precision, written from calls.h;
// backward against central differences of a weighted sum of that one's outputs.

using Values = std::vector<float>;
using Doubles = std::vector<double>;
using Function = std::function<Doubles(const Doubles&)>;

Doubles ToDouble(const Values& values) { return Doubles(values.begin(), values.end()); }

// d/dx of sum(weights * function(x)), at x. The error of a central difference is about step^2 times
// a third derivative, and 2^-52 / step times the sum.
Doubles Differences(const Function& function, const Values& at, const Values& weights) {
  constexpr double kStep = 1e-4;
  Doubles x = ToDouble(at), gradient(at.size());
  const auto loss = [&] {
    const Doubles outputs = function(x);
    EXPECT_EQ(outputs.size(), weights.size());
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) sum += weights[i] * outputs[i];
    return sum;
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const double center = x[i];
    x[i] = center + kStep;
    const double above = loss();
    x[i] = center - kStep;
    gradient[i] = (above - loss()) / (2 * kStep);
    x[i] = center;
  }
  return gradient;
}

// |actual - expected| <= 1e-5 of the largest expected, at least 1.
void ExpectNear(const Values& actual, const Doubles& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 1;
  for (const double value : expected) largest = std::max(largest, std::fabs(value));
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], 1e-5 * largest) << what << " " << i;
}

class ReferenceGradients : public ::testing::Test {
 protected:
  ReferenceGradients() : random_(1 + GTEST_FLAG_GET(random_seed)) {
    std::printf("seed: --gtest_random_seed=%d\n", GTEST_FLAG_GET(random_seed));
  }
  Values RandomValues(int64_t count, float spread = 1.0f) {
    Values values(count);
    for (float& value : values) value = spread * (2 * random_.Uniform() - 1);
    return values;
  }

  ReferenceLibrary reference_;
  Random random_;
};

Doubles GeluOf(const Doubles& x) {
  Doubles outputs;
  for (const double v : x)
    outputs.push_back(v / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))));
  return outputs;
}

TEST_F(ReferenceGradients, GeluIsItsDefinitionAndItsSlope) {
  Values x = RandomValues(50, 4.0f), output(50);
  const Values weights = RandomValues(50);
  Values gradient = weights;
  ASSERT_EQ(reference_.Run(GeluCall{x.data(), 5, 10, nullptr, output.data()}), absl::OkStatus());
  ExpectNear(output, GeluOf(ToDouble(x)), "gelu");
  ASSERT_EQ(reference_.Run(GeluBackwardCall{x.data(), gradient.data(), 50}), absl::OkStatus());
  ExpectNear(gradient, Differences(GeluOf, x, weights), "gelu backward");
}

TEST_F(ReferenceGradients, SoftmaxCrossEntropyAndItsGradient) {
  const std::vector<int32_t> labels = {2, 0, 4};
  const Values logits = RandomValues(3 * 5, 3.0f);
  const Function losses = [&](const Doubles& x) {
    Doubles outputs;
    for (int row = 0; row < 3; ++row) {
      double sum = 0;
      for (int i = 0; i < 5; ++i) sum += std::exp(x[row * 5 + i]);
      outputs.push_back(std::log(sum) - x[row * 5 + labels[row]]);
    }
    return outputs;
  };
  Values loss(3), correct(3), gradient(15);
  ASSERT_EQ(reference_.Run(SoftmaxCrossEntropyCall{3, 5, logits.data(), labels.data(), loss.data(),
                                                   correct.data(), gradient.data(), 0.25f}),
            absl::OkStatus());
  ExpectNear(loss, losses(ToDouble(logits)), "loss");
  ExpectNear(gradient, Differences(losses, logits, Values(3, 0.25f)),
             "softmax cross entropy backward");
}

TEST_F(ReferenceGradients, DropoutsGradientTakesTheSameMask) {
  const Values weights = RandomValues(40), x = RandomValues(40);
  Values output = x, gradient = weights;
  const Function drop = [](const Doubles& x) {
    Doubles outputs;
    for (size_t i = 0; i < x.size(); ++i)
      outputs.push_back(DropoutKeeps(11, i, 0.25f) ? x[i] / 0.75 : 0.0);
    return outputs;
  };
  ASSERT_EQ(reference_.Run(DropoutCall{output.data(), 40, 0.25f, 11}), absl::OkStatus());
  ExpectNear(output, drop(ToDouble(x)), "dropout");
  ASSERT_EQ(reference_.Run(DropoutCall{gradient.data(), 40, 0.25f, 11}), absl::OkStatus());
  ExpectNear(gradient, Differences(drop, x, weights), "dropout backward");
}

TEST_F(ReferenceGradients, AveragePoolsGradientIsTheShareOfEachPixel) {
  const Values x = RandomValues(21), weights = RandomValues(3);
  const Function pool = [](const Doubles& x) {
    Doubles outputs(3);
    for (int i = 0; i < 21; ++i) outputs[i / 7] += x[i] / 7;
    return outputs;
  };
  Values output(3), gradient(21);
  ASSERT_EQ(reference_.Run(AveragePoolCall{3, 7, x.data(), output.data()}), absl::OkStatus());
  ExpectNear(output, pool(ToDouble(x)), "average pool");
  ASSERT_EQ(reference_.Run(AveragePoolBackwardCall{3, 7, weights.data(), gradient.data()}),
            absl::OkStatus());
  ExpectNear(gradient, Differences(pool, x, weights), "average pool backward");
}

// columns as calls.h defines them, with any stride.
Doubles ColumnsOf(const ConvShape& s, const Doubles& x) {
  const int64_t oh = s.out_height(), ow = s.out_width(), k = s.kernel;
  Doubles columns(s.channels * k * k * s.images * oh * ow);
  for (size_t at = 0; at < columns.size(); ++at) {
    const int64_t col = at % (s.images * oh * ow), row = at / (s.images * oh * ow);
    const int64_t in_y = col / ow % oh * s.stride + row / k % k - s.padding;
    const int64_t in_x = col % ow * s.stride + row % k - s.padding;
    if (in_y < 0 || in_y >= s.height || in_x < 0 || in_x >= s.width) continue;
    columns[at] =
        x[((row / (k * k) * s.images + col / (oh * ow)) * s.height + in_y) * s.width + in_x];
  }
  return columns;
}

TEST_F(ReferenceGradients, Col2ImIsTheGradientOfIm2ColAtEveryStride) {
  for (const int64_t stride : {1, 2, 3}) {
    const ConvShape shape{2, 3, 5, 7, 3, 1, stride};
    const Function unfold = [&](const Doubles& x) { return ColumnsOf(shape, x); };
    const Values x = RandomValues(2 * 3 * 5 * 7);
    const Doubles expected = unfold(ToDouble(x));
    const Values weights = RandomValues(static_cast<int64_t>(expected.size()));
    Values columns(expected.size()), gradient(x.size());
    ASSERT_EQ(reference_.Run(Im2ColCall{shape, 0, 3, x.data(), columns.data()}), absl::OkStatus());
    ExpectNear(columns, expected, "im2col");
    ASSERT_EQ(reference_.Run(Col2ImCall{shape, 0, 3, weights.data(), gradient.data()}),
              absl::OkStatus());
    ExpectNear(gradient, Differences(unfold, x, weights), "col2im");
  }
}

// The output of a norm, its groups gathered element by element.
Doubles NormOf(const NormShape& s, const Doubles& x, const Doubles& gain, const Doubles& bias,
               Doubles* means = nullptr, Doubles* variances = nullptr) {
  const auto feature_of = [&](int64_t i) {
    return s.kind == NormKind::kLayer ? i % s.features : i / s.pixels / s.rows;
  };
  const auto group_of = [&](int64_t i) {
    if (s.kind == NormKind::kLayer) return i / s.features;
    if (s.kind == NormKind::kBatch) return feature_of(i);
    return i / s.pixels % s.rows * s.groups_per_image +
           feature_of(i) / (s.features / s.groups_per_image);
  };
  Doubles sums(s.groups()), counts(s.groups()), squares(s.groups()), outputs(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    sums[group_of(i)] += x[i];
    counts[group_of(i)] += 1;
  }
  for (size_t i = 0; i < x.size(); ++i)
    squares[group_of(i)] += std::pow(x[i] - sums[group_of(i)] / counts[group_of(i)], 2);
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t group = group_of(i), feature = feature_of(i);
    const double normalized =
        (x[i] - sums[group] / counts[group]) / std::sqrt(squares[group] / counts[group] + 1e-5f);
    outputs[i] = normalized * gain[feature] + bias[feature];
  }
  for (int64_t group = 0; group < s.groups(); ++group) {
    if (means != nullptr) means->push_back(sums[group] / counts[group]);
    if (variances != nullptr) variances->push_back(squares[group] / (counts[group] - 1));
  }
  return outputs;
}

TEST_F(ReferenceGradients, NormsOfAllKindsAndTheirGradients) {
  for (const NormShape& shape :
       {NormShape{NormKind::kLayer, 3, 7}, NormShape{NormKind::kBatch, 3, 4, 5},
        NormShape{NormKind::kGroup, 2, 6, 3, 2}, NormShape{NormKind::kGroup, 2, 4, 5, 4}}) {
    const std::string what = "norm kind " + std::to_string(static_cast<int>(shape.kind));
    const Values x = RandomValues(shape.count(), 2.0f), weights = RandomValues(shape.count());
    const Values gain = RandomValues(shape.features), bias = RandomValues(shape.features);
    Values output(shape.count()), mean(shape.groups()), inverse(shape.groups()),
        variance(shape.groups());
    ASSERT_EQ(reference_.Run(NormCall{shape, 1e-5f, x.data(), gain.data(), bias.data(),
                                      output.data(), mean.data(), inverse.data(), variance.data()}),
              absl::OkStatus());
    Doubles means, variances;
    ExpectNear(output,
               NormOf(shape, ToDouble(x), ToDouble(gain), ToDouble(bias), &means, &variances),
               what);
    ExpectNear(mean, means, what + " mean");
    ExpectNear(variance, variances, what + " variance");

    Values input_gradient(shape.count()), gain_gradient(shape.features),
        bias_gradient(shape.features);
    ASSERT_EQ(reference_.Run(NormInputGradientCall{shape, x.data(), gain.data(), mean.data(),
                                                   inverse.data(), weights.data(),
                                                   input_gradient.data()}),
              absl::OkStatus());
    ASSERT_EQ(reference_.Run(NormParamGradientCall{shape, x.data(), mean.data(), inverse.data(),
                                                   weights.data(), gain_gradient.data(),
                                                   bias_gradient.data()}),
              absl::OkStatus());
    const auto of_x = [&](const Doubles& v) {
      return NormOf(shape, v, ToDouble(gain), ToDouble(bias));
    };
    const auto of_gain = [&](const Doubles& v) {
      return NormOf(shape, ToDouble(x), v, ToDouble(bias));
    };
    const auto of_bias = [&](const Doubles& v) {
      return NormOf(shape, ToDouble(x), ToDouble(gain), v);
    };
    ExpectNear(input_gradient, Differences(of_x, x, weights), what + " input gradient");
    ExpectNear(gain_gradient, Differences(of_gain, gain, weights), what + " gain gradient");
    ExpectNear(bias_gradient, Differences(of_bias, bias, weights), what + " bias gradient");
  }
}

TEST_F(ReferenceGradients, EmbeddingAndTheGradientsOfItsTables) {
  const std::vector<int32_t> tokens = {2, 0, 2, 2, 4, 0, 1};
  const Values token_table = RandomValues(5 * 3), position_table = RandomValues(4 * 3),
               weights = RandomValues(7 * 3);
  const auto embed = [&](const Doubles& of_tokens, const Doubles& of_positions) {
    Doubles outputs(21);
    for (int i = 0; i < 21; ++i)
      outputs[i] = of_tokens[tokens[i / 3] * 3 + i % 3] + of_positions[i / 3 % 4 * 3 + i % 3];
    return outputs;
  };
  Values output(21), token_gradient(15, 9.0f), position_gradient(12, 9.0f);
  ASSERT_EQ(reference_.Run(EmbeddingCall{7, 4, 3, 5, tokens.data(), token_table.data(),
                                         position_table.data(), output.data()}),
            absl::OkStatus());
  ExpectNear(output, embed(ToDouble(token_table), ToDouble(position_table)), "embedding");
  EmbeddingGradientCall call{
      7, 4, 3, 5, tokens.data(), weights.data(), token_gradient.data(), position_gradient.data()};
  ASSERT_EQ(reference_.Run(call), absl::OkStatus());
  Doubles expected = Differences(
      [&](const Doubles& v) { return embed(v, ToDouble(position_table)); }, token_table, weights);
  ExpectNear(token_gradient, expected, "token gradient");
  ExpectNear(position_gradient,
             Differences([&](const Doubles& v) { return embed(ToDouble(token_table), v); },
                         position_table, weights),
             "position gradient");
  call.accumulate = true;
  ASSERT_EQ(reference_.Run(call), absl::OkStatus());
  for (double& value : expected) value *= 2;
  ExpectNear(token_gradient, expected, "accumulated token gradient");
}

// Output (and probabilities) of attention, from qkv[batch][context][query, key,
// value][heads][head_width].
Doubles AttentionOf(const AttentionShape& s, const Doubles& qkv, Doubles* probabilities = nullptr) {
  const auto at = [&](int64_t b, int64_t i, int64_t part, int64_t h, int64_t d) {
    return qkv[(((b * s.context + i) * 3 + part) * s.heads + h) * s.head_width + d];
  };
  Doubles outputs(s.batch * s.context * s.width());
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t i = 0; i < s.context; ++i) {
        Doubles weights(s.context);
        double sum = 0;
        for (int64_t j = 0; j <= i; ++j) {
          double score = 0;
          for (int64_t d = 0; d < s.head_width; ++d) score += at(b, i, 0, h, d) * at(b, j, 1, h, d);
          sum += weights[j] = std::exp(score / std::sqrt(s.head_width));
        }
        for (int64_t j = 0; j < s.context; ++j) {
          if (probabilities != nullptr) probabilities->push_back(weights[j] / sum);
          for (int64_t d = 0; d < s.head_width; ++d) {
            outputs[((b * s.context + i) * s.heads + h) * s.head_width + d] +=
                weights[j] / sum * at(b, j, 2, h, d);
          }
        }
      }
    }
  }
  return outputs;
}

TEST_F(ReferenceGradients, AttentionIsCausalSoftmaxAndItsGradient) {
  for (const AttentionShape& shape :
       {AttentionShape{1, 1, 1, 1}, AttentionShape{2, 5, 3, 4}, AttentionShape{1, 9, 1, 3}}) {
    const int64_t count = shape.batch * shape.context * shape.width();
    const int64_t pairs = shape.batch * shape.heads * shape.context * shape.context;
    const Values qkv = RandomValues(3 * count, 2.0f), weights = RandomValues(count);
    Values probabilities(pairs, -1.0f), output(count), gradient(3 * count);
    Values scratch(reference_.attention_scratch_floats(shape));
    ASSERT_EQ(reference_.Run(AttentionCall{shape, qkv.data(), probabilities.data(), output.data()}),
              absl::OkStatus());
    Doubles expected;
    ExpectNear(output, AttentionOf(shape, ToDouble(qkv), &expected), "attention");
    ExpectNear(probabilities, expected, "probabilities");
    ASSERT_EQ(
        reference_.Run(AttentionBackwardCall{shape, qkv.data(), probabilities.data(),
                                             weights.data(), gradient.data(), scratch.data()}),
        absl::OkStatus());
    ExpectNear(gradient,
               Differences([&](const Doubles& v) { return AttentionOf(shape, v); }, qkv, weights),
               "attention backward");
  }
}

}  // namespace
}  // namespace ringmaster
