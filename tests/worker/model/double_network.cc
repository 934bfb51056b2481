#include "tests/worker/model/double_network.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

// Activations of a batch; a linear layer sees channels * height * width in a row.
struct Images {
  int64_t count, channels, height, width;
  std::vector<double> values;
  double at(int64_t n, int64_t c, int64_t y, int64_t x) const {
    return values[((n * channels + c) * height + y) * width + x];
  }
};

struct Window {
  int64_t kernel = 5, stride = 1, padding = 0;
};

// Without a bias where that is empty.
Images Convolve(const Images& in, const std::vector<double>& weight, const std::vector<double>& bias,
                const Window& window) {
  const auto [kernel, stride, padding] = window;
  const int64_t out_channels = static_cast<int64_t>(weight.size()) / (in.channels * kernel * kernel);
  Images out{in.count, out_channels, (in.height + 2 * padding - kernel) / stride + 1,
             (in.width + 2 * padding - kernel) / stride + 1, {}};
  for (int64_t n = 0; n < out.count; ++n) {
    for (int64_t o = 0; o < out_channels; ++o) {
      for (int64_t y = 0; y < out.height; ++y) {
        for (int64_t x = 0; x < out.width; ++x) {
          double sum = bias.empty() ? 0.0 : bias[o];
          for (int64_t c = 0; c < in.channels; ++c) {
            for (int64_t tap = 0; tap < kernel * kernel; ++tap) {
              const int64_t row = y * stride + tap / kernel - padding, col = x * stride + tap % kernel - padding;
              if (row < 0 || row >= in.height || col < 0 || col >= in.width) continue;
              sum += weight[(o * in.channels + c) * kernel * kernel + tap] * in.at(n, c, row, col);
            }
          }
          out.values.push_back(sum);
        }
      }
    }
  }
  return out;
}

Images Relu(Images images) {
  for (double& value : images.values) value = std::max(value, 0.0);
  return images;
}

Images Pool(const Images& in) {
  Images out{in.count, in.channels, in.height / 2, in.width / 2, {}};
  for (int64_t n = 0; n < out.count; ++n) {
    for (int64_t c = 0; c < out.channels; ++c) {
      for (int64_t y = 0; y < out.height; ++y) {
        for (int64_t x = 0; x < out.width; ++x) {
          out.values.push_back(std::max({in.at(n, c, 2 * y, 2 * x), in.at(n, c, 2 * y, 2 * x + 1),
                                         in.at(n, c, 2 * y + 1, 2 * x), in.at(n, c, 2 * y + 1, 2 * x + 1)}));
        }
      }
    }
  }
  return out;
}

Images Connect(const Images& in, const std::vector<double>& weight, const std::vector<double>& bias) {
  const int64_t inputs = in.channels * in.height * in.width;
  Images out{in.count, static_cast<int64_t>(bias.size()), 1, 1, {}};
  for (int64_t n = 0; n < in.count; ++n) {
    for (int64_t o = 0; o < out.channels; ++o) {
      double sum = bias[o];
      for (int64_t i = 0; i < inputs; ++i) sum += weight[o * inputs + i] * in.values[n * inputs + i];
      out.values.push_back(sum);
    }
  }
  return out;
}

double MeanLoss(const Images& logits, const std::vector<int32_t>& labels) {
  double total = 0;
  for (int64_t n = 0; n < logits.count; ++n) {
    const double* row = &logits.values[n * logits.channels];
    double sum = 0;
    for (int64_t i = 0; i < logits.channels; ++i) sum += std::exp(row[i] - row[labels[n]]);
    total += std::log(sum);
  }
  return total / static_cast<double>(logits.count);
}

Images InputOf(const DoubleBatch& batch) {
  return {static_cast<int64_t>(batch.labels.size()), batch.shape.channels, batch.shape.height, batch.shape.width,
          batch.features};
}

Images ConnectByName(const Images& in, const DoubleParams& params, const std::string& name) {
  return Connect(in, params.at(name + ".weight"), params.at(name + ".bias"));
}

Images ConvolveByName(const Images& in, const DoubleParams& params, const std::string& name,
                      int64_t padding) {
  return Pool(Relu(Convolve(in, params.at(name + ".weight"), params.at(name + ".bias"), {5, 1, padding})));
}

// Two convolutions and two linear layers: "lenet" and "cnn" differ in their sizes, which the parameters tell.
double TwoConvolutionsLoss(const DoubleParams& params, const DoubleBatch& batch, int64_t padding) {
  const Images first = ConvolveByName(InputOf(batch), params, "conv1", padding);
  const Images images = ConvolveByName(first, params, "conv2", padding);
  return MeanLoss(ConnectByName(Relu(ConnectByName(images, params, "fc1")), params, "fc2"), batch.labels);
}

}  // namespace

DoubleParams ToDouble(const ParamLayout& layout, absl::Span<const float> arena) {
  DoubleParams params;
  for (const Param& param : layout.params()) {
    const auto values = arena.subspan(param.begin, param.count);
    params[param.name] = std::vector<double>(values.begin(), values.end());
  }
  return params;
}

double LenetLoss(const DoubleParams& params, const DoubleBatch& batch) { return TwoConvolutionsLoss(params, batch, 0); }

double CnnLoss(const DoubleParams& params, const DoubleBatch& batch) { return TwoConvolutionsLoss(params, batch, 2); }

double MlpLoss(const DoubleParams& params, const DoubleBatch& batch, int layers) {
  Images values = InputOf(batch);
  for (int layer = 1; layer <= layers; ++layer) {
    values = ConnectByName(values, params, absl::StrCat("fc", layer));
    if (layer < layers) values = Relu(std::move(values));
  }
  return MeanLoss(values, batch.labels);
}

}  // namespace ringmaster
