#include "tests/worker/model/double_network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/fingerprint.h"
#include "common/base/random.h"
#include "worker/kernels/dropout_mask.h"

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
Images Convolve(const Images& in, const std::vector<double>& weight,
                const std::vector<double>& bias, const Window& window) {
  const auto [kernel, stride, padding] = window;
  const int64_t out_channels =
      static_cast<int64_t>(weight.size()) / (in.channels * kernel * kernel);
  Images out{in.count,
             out_channels,
             (in.height + 2 * padding - kernel) / stride + 1,
             (in.width + 2 * padding - kernel) / stride + 1,
             {}};
  out.values.resize(out.count * out_channels * out.height * out.width);
  double* to = out.values.data();
  for (int64_t n = 0; n < out.count; ++n) {
    for (int64_t o = 0; o < out_channels; ++o, to += out.height * out.width) {
      std::fill(to, to + out.height * out.width, bias.empty() ? 0.0 : bias[o]);
      for (int64_t c = 0; c < in.channels; ++c) {
        for (int64_t tap = 0; tap < kernel * kernel; ++tap) {
          const double factor = weight[(o * in.channels + c) * kernel * kernel + tap];
          for (int64_t y = 0; y < out.height; ++y) {
            const int64_t row = y * stride + tap / kernel - padding;
            if (row < 0 || row >= in.height) continue;
            for (int64_t x = 0; x < out.width; ++x) {
              const int64_t col = x * stride + tap % kernel - padding;
              if (col >= 0 && col < in.width)
                to[y * out.width + x] += factor * in.at(n, c, row, col);
            }
          }
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
          out.values.push_back(
              std::max({in.at(n, c, 2 * y, 2 * x), in.at(n, c, 2 * y, 2 * x + 1),
                        in.at(n, c, 2 * y + 1, 2 * x), in.at(n, c, 2 * y + 1, 2 * x + 1)}));
        }
      }
    }
  }
  return out;
}

Images Connect(const Images& in, const std::vector<double>& weight,
               const std::vector<double>& bias) {
  const int64_t inputs = in.channels * in.height * in.width;
  Images out{in.count, static_cast<int64_t>(bias.size()), 1, 1, {}};
  for (int64_t n = 0; n < in.count; ++n) {
    for (int64_t o = 0; o < out.channels; ++o) {
      double sum = bias[o];
      for (int64_t i = 0; i < inputs; ++i)
        sum += weight[o * inputs + i] * in.values[n * inputs + i];
      out.values.push_back(sum);
    }
  }
  return out;
}

double MeanLoss(const Images& logits, const std::vector<int32_t>& labels) {
  return MeanLossInDouble(logits.values, labels);
}

struct Moments {
  double mean = 0, variance = 0, corrected = 0;
};

// Of channels [begin, end) of images [first, last).
Moments MomentsOf(const Images& in, int64_t first, int64_t last, int64_t begin, int64_t end) {
  const int64_t pixels = in.height * in.width;
  const double count = static_cast<double>((last - first) * (end - begin) * pixels);
  Moments moments;
  const auto visit = [&](auto see) {
    for (int64_t n = first; n < last; ++n) {
      for (int64_t i = begin * pixels; i < end * pixels; ++i)
        see(in.values[n * in.channels * pixels + i]);
    }
  };
  visit([&](double value) { moments.mean += value / count; });
  visit([&](double value) {
    moments.variance += (value - moments.mean) * (value - moments.mean) / count;
  });
  moments.corrected = moments.variance * count / (count - 1);
  return moments;
}

Images Normalize(const Images& in, const DoubleParams& params, const std::string& name,
                 bool training, const ResnetSpec& spec, DoubleParams* statistics) {
  const std::vector<double>& gain = params.at(name + ".weight");
  const std::vector<double>& bias = params.at(name + ".bias");
  const bool batch_norm = spec.norm() == "batch";
  Images out = in;
  for (int64_t n = 0; n < in.count; ++n) {
    for (int64_t c = 0; c < in.channels; ++c) {
      Moments moments;
      if (!batch_norm) {
        const int64_t width = in.channels / spec.groups(), begin = c / width * width;
        moments = MomentsOf(in, n, n + 1, begin, begin + width);
      } else if (training) {
        moments = MomentsOf(in, 0, in.count, c, c + 1);
      } else {
        moments = {params.at(name + ".running_mean")[c], params.at(name + ".running_var")[c]};
      }
      if (statistics != nullptr && batch_norm && n == 0) {
        (*statistics)[name + ".running_mean"].push_back(moments.mean);
        (*statistics)[name + ".running_var"].push_back(moments.corrected);
      }
      for (int64_t i = 0; i < in.height * in.width; ++i) {
        double& value = out.values[(n * in.channels + c) * in.height * in.width + i];
        value = (value - moments.mean) / std::sqrt(moments.variance + 1e-5) * gain[c] + bias[c];
      }
    }
  }
  return out;
}

Images InputOf(const DoubleBatch& batch) {
  return {static_cast<int64_t>(batch.labels.size()), batch.shape.channels, batch.shape.height,
          batch.shape.width, batch.features};
}

Images ConnectByName(const Images& in, const DoubleParams& params, const std::string& name) {
  return Connect(in, params.at(name + ".weight"), params.at(name + ".bias"));
}

Images ConvolveByName(const Images& in, const DoubleParams& params, const std::string& name,
                      int64_t padding) {
  return Pool(
      Relu(Convolve(in, params.at(name + ".weight"), params.at(name + ".bias"), {5, 1, padding})));
}

// Two convolutions and two linear layers: "lenet" and "cnn" differ in their sizes, which the
// parameters tell.
double TwoConvolutionsLoss(const DoubleParams& params, const DoubleBatch& batch, int64_t padding) {
  const Images first = ConvolveByName(InputOf(batch), params, "conv1", padding);
  const Images images = ConvolveByName(first, params, "conv2", padding);
  return MeanLoss(ConnectByName(Relu(ConnectByName(images, params, "fc1")), params, "fc2"),
                  batch.labels);
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

void DropInDouble(const DoubleBatch& batch, const std::string& name, float rate,
                  std::vector<double>* values) {
  if (!batch.training || rate == 0) return;
  const uint64_t seed = MixSeed(batch.dropout_seed, Fingerprint64(absl::string_view(name)));
  for (size_t i = 0; i < values->size(); ++i) {
    (*values)[i] =
        DropoutKeeps(seed, i, rate) ? (*values)[i] / (1 - static_cast<double>(rate)) : 0.0;
  }
}

double MeanLossInDouble(const std::vector<double>& logits, const std::vector<int32_t>& labels) {
  const size_t classes = logits.size() / labels.size();
  double total = 0;
  for (size_t row = 0; row < labels.size(); ++row) {
    const double* values = &logits[row * classes];
    double sum = 0;
    for (size_t i = 0; i < classes; ++i) sum += std::exp(values[i] - values[labels[row]]);
    total += std::log(sum);
  }
  return total / static_cast<double>(labels.size());
}

double LenetLoss(const DoubleParams& params, const DoubleBatch& batch) {
  return TwoConvolutionsLoss(params, batch, 0);
}

double CnnLoss(const DoubleParams& params, const DoubleBatch& batch) {
  return TwoConvolutionsLoss(params, batch, 2);
}

double MlpLoss(const DoubleParams& params, const DoubleBatch& batch, int layers, float dropout) {
  Images values = InputOf(batch);
  for (int layer = 1; layer <= layers; ++layer) {
    const std::string name = absl::StrCat("fc", layer);
    values = ConnectByName(values, params, name);
    if (layer == layers) break;
    values = Relu(std::move(values));
    DropInDouble(batch, name, dropout, &values.values);
  }
  return MeanLoss(values, batch.labels);
}

double ResnetLoss(const DoubleParams& params, const DoubleBatch& batch, const ResnetSpec& spec,
                  DoubleParams* statistics) {
  const auto conv_norm = [&](const Images& in, const std::string& conv, const std::string& norm,
                             const Window& window) {
    return Normalize(Convolve(in, params.at(conv + ".weight"), {}, window), params, norm,
                     batch.training, spec, statistics);
  };
  Images now = Relu(conv_norm(InputOf(batch), "conv1", "bn1", {3, 1, 1}));
  for (int stage = 1; stage <= 3; ++stage) {
    for (int block = 0; block < spec.blocks(); ++block) {
      const std::string name = absl::StrCat("layer", stage, ".", block);
      const bool halves = stage > 1 && block == 0;
      const int64_t stride = halves ? 2 : 1;
      const Images skip =
          halves ? conv_norm(now, name + ".downsample.0", name + ".downsample.1", {1, stride, 0})
                 : now;
      now = Relu(conv_norm(now, name + ".conv1", name + ".bn1", {3, stride, 1}));
      now = conv_norm(now, name + ".conv2", name + ".bn2", {3, 1, 1});
      for (size_t i = 0; i < now.values.size(); ++i) now.values[i] += skip.values[i];
      now = Relu(std::move(now));
    }
  }
  Images means{now.count, now.channels, 1, 1, {}};
  const int64_t pixels = now.height * now.width;
  for (int64_t plane = 0; plane < now.count * now.channels; ++plane) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += now.values[plane * pixels + i];
    means.values.push_back(sum / static_cast<double>(pixels));
  }
  return MeanLoss(ConnectByName(means, params, "fc"), batch.labels);
}

}  // namespace ringmaster
