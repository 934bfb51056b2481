#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/worker/model/double_network.h"

namespace ringmaster {
namespace {

using Values = std::vector<double>;  // rows of one width, a row a token

// One text model over one batch.
class Network {
 public:
  Network(const DoubleParams& params, const DoubleBatch& batch, const TransformerSpec& spec,
          float dropout)
      : params_(params),
        batch_(batch),
        rows_(batch.tokens.size()),
        context_(batch.shape.context),
        width_(spec.width()),
        heads_(spec.heads()),
        dropout_(dropout) {}

  double Loss(int layers, bool tied) const {
    Values now(rows_ * width_);
    for (size_t row = 0; row < rows_; ++row) {
      for (size_t i = 0; i < width_; ++i) {
        now[row * width_ + i] = params_.at("tok.weight")[batch_.tokens[row] * width_ + i] +
                                params_.at("pos.weight")[row % context_ * width_ + i];
      }
    }
    DropInDouble(batch_, "tok", dropout_, &now);
    for (int layer = 0; layer < layers; ++layer) {
      const std::string block = absl::StrCat("blocks.", layer);
      const Values attended = Attend(Linear(Norm(now, block + ".norm1"), block + ".attn.qkv"));
      AddBranch(attended, block + ".attn.proj", &now);
      Values hidden = Linear(Norm(now, block + ".norm2"), block + ".mlp.fc");
      for (double& x : hidden)
        x = x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
      AddBranch(hidden, block + ".mlp.proj", &now);
    }
    return MeanLossInDouble(
        Multiply(Norm(now, "norm"), params_.at(tied ? "tok.weight" : "head.weight")),
        batch_.labels);
  }

 private:
  void AddBranch(const Values& in, const std::string& proj, Values* now) const {
    Values branch = Linear(in, proj);
    DropInDouble(batch_, proj, dropout_, &branch);
    for (size_t i = 0; i < branch.size(); ++i) (*now)[i] += branch[i];
  }

  // in [rows][inputs] times the transpose of weight [outputs][inputs].
  Values Multiply(const Values& in, const Values& weight) const {
    const size_t inputs = in.size() / rows_, outputs = weight.size() / inputs;
    Values out(rows_ * outputs);
    for (size_t row = 0; row < rows_; ++row) {
      for (size_t o = 0; o < outputs; ++o) {
        for (size_t i = 0; i < inputs; ++i)
          out[row * outputs + o] += in[row * inputs + i] * weight[o * inputs + i];
      }
    }
    return out;
  }

  Values Linear(const Values& in, const std::string& name) const {
    Values out = Multiply(in, params_.at(name + ".weight"));
    const Values& bias = params_.at(name + ".bias");
    for (size_t i = 0; i < out.size(); ++i) out[i] += bias[i % bias.size()];
    return out;
  }

  Values Norm(const Values& in, const std::string& name) const {
    Values out(in.size());
    for (size_t row = 0; row < rows_; ++row) {
      const double* from = &in[row * width_];
      double mean = 0, variance = 0;
      for (size_t i = 0; i < width_; ++i) mean += from[i] / static_cast<double>(width_);
      for (size_t i = 0; i < width_; ++i)
        variance += (from[i] - mean) * (from[i] - mean) / static_cast<double>(width_);
      for (size_t i = 0; i < width_; ++i) {
        out[row * width_ + i] =
            (from[i] - mean) / std::sqrt(variance + 1e-5) * params_.at(name + ".weight")[i] +
            params_.at(name + ".bias")[i];
      }
    }
    return out;
  }

  // Queries, keys and values side by side in each row of `qkv`.
  Values Attend(const Values& qkv) const {
    Values out(rows_ * width_);
    const size_t size = width_ / heads_;
    for (size_t row = 0; row < rows_; ++row) {
      const size_t first = row / context_ * context_;  // of the text
      for (size_t head = 0; head < heads_; ++head) {
        const auto at = [&](size_t from, size_t part, size_t i) {
          return qkv[from * 3 * width_ + part * width_ + head * size + i];
        };
        Values weights;
        double sum = 0;
        for (size_t seen = first; seen <= row; ++seen) {
          double product = 0;
          for (size_t i = 0; i < size; ++i) product += at(row, 0, i) * at(seen, 1, i);
          weights.push_back(std::exp(product / std::sqrt(static_cast<double>(size))));
          sum += weights.back();
        }
        for (size_t seen = first; seen <= row; ++seen) {
          for (size_t i = 0; i < size; ++i) {
            out[row * width_ + head * size + i] += weights[seen - first] / sum * at(seen, 2, i);
          }
        }
      }
    }
    return out;
  }

  const DoubleParams& params_;
  const DoubleBatch& batch_;
  const size_t rows_, context_, width_, heads_;
  const float dropout_;
};

}  // namespace

double TransformerLoss(const DoubleParams& params, const DoubleBatch& batch,
                       const TransformerSpec& spec, float dropout) {
  return Network(params, batch, spec, dropout).Loss(spec.layers(), spec.tied_head());
}

}  // namespace ringmaster
