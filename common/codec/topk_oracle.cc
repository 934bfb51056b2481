#include "common/codec/topk_oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

// Elements among which one selection is made.
int64_t ChunkOf(const CodecSpec& spec, int64_t count) {
  return spec.chunk() == 0 ? count : spec.chunk();
}

int64_t KeptOf(const CodecSpec& spec, int64_t count) {
  int64_t kept = 0;
  for (int64_t begin = 0; begin < count; begin += ChunkOf(spec, count))
    kept += SharePairs(spec.density(), std::min(ChunkOf(spec, count), count - begin));
  return kept;
}

int64_t MostRiceBytes(int64_t count, int64_t kept) {
  const double most = 0.4812 * static_cast<double>(2 * count - kept) / static_cast<double>(kept);
  const int parameter = most < 1 ? 0 : static_cast<int>(std::floor(std::log2(most)));
  const int64_t bits = kept * (1 + parameter) + (count - kept) / (int64_t{1} << parameter);
  return (bits + 7) / 8;
}

EncodedSize Size(const CodecSpec& spec, int64_t count) {
  if (count == 0) return {};
  const int64_t kept = KeptOf(spec, count);
  const int64_t values = spec.two_bit_values() ? 8 + (kept + 3) / 4 : 4 * kept;
  const int64_t indices = spec.rice_indices() ? MostRiceBytes(count, kept) : 4 * kept;
  return {values + indices, indices};
}

// The places of the `kept` largest, and the others, by magnitude and index.
std::vector<size_t> OrderOf(absl::Span<const float> in) {
  std::vector<size_t> order(in.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::fabs(in[a]) > std::fabs(in[b]); });
  return order;
}

// The mean magnitude of those of `values` that are above `mean`, or of those that are not.
double MeanOf(const std::vector<double>& values, double mean, bool above) {
  double sum = 0;
  int64_t count = 0;
  for (const double value : values) {
    if ((value > mean) != above) continue;
    sum += value;
    ++count;
  }
  return count == 0 ? MeanOf(values, mean, !above) : sum / static_cast<double>(count);
}

// Of the elements that come out: each is the mean magnitude of its group, with its sign.
absl::Status CheckTwoBits(absl::Span<const float> in, absl::Span<const float> out,
                          const std::vector<size_t>& kept) {
  std::vector<double> magnitudes;
  double sum = 0;
  for (const size_t i : kept) {
    magnitudes.push_back(std::fabs(static_cast<double>(in[i])));
    sum += magnitudes.back();
  }
  const double mean = sum / static_cast<double>(kept.size());
  const double means[2] = {MeanOf(magnitudes, mean, false), MeanOf(magnitudes, mean, true)};
  for (const size_t i : kept) {
    const double magnitude = std::fabs(static_cast<double>(in[i]));
    const double expected = std::copysign(means[magnitude > mean ? 1 : 0], in[i]);
    // Rounded to float once. What lies at the mean itself may be on either side of a rounded one.
    const double bound = 0x1p-23 * std::fabs(expected) + 0x1p-149;
    const bool is_near = std::fabs(magnitude - mean) <= 1e-12 * mean;
    if (std::fabs(out[i] - expected) <= bound || is_near) continue;
    return absl::FailedPreconditionError(absl::StrCat("element ", i, " = ", in[i], " comes out as ",
                                                      out[i], ", expected ", expected));
  }
  return absl::OkStatus();
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  const auto count = static_cast<int64_t>(in.size());
  std::vector<size_t> all_kept;
  for (int64_t begin = 0; begin < count; begin += ChunkOf(spec, count)) {
    const auto size = static_cast<size_t>(std::min(ChunkOf(spec, count), count - begin));
    const auto kept = static_cast<size_t>(SharePairs(spec.density(), size));
    const absl::Span<const float> from = in.subspan(begin, size), to = out.subspan(begin, size);
    if (!spec.two_bit_values()) {
      RM_RETURN_IF_ERROR(CheckLargestKept(from, to, kept));
      continue;
    }
    const std::vector<size_t> order = OrderOf(from);
    for (size_t place = 0; place < size; ++place) {
      if (place < kept) {
        all_kept.push_back(begin + order[place]);
      } else if (to[order[place]] != 0) {
        return absl::FailedPreconditionError(absl::StrCat(
            "element ", begin + order[place], ", number ", place,
            " by magnitude and index, comes out as ", to[order[place]], " with ", kept, " kept"));
      }
    }
  }
  return all_kept.empty() ? absl::OkStatus() : CheckTwoBits(in, out, all_kept);
}

bool RestoresBits(const CodecSpec& spec, float x) { return !spec.two_bit_values(); }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  if (spec.two_bit_values() || spec.chunk() != 0) return CheckBound(spec, in, decoded, 0);
  return CheckLargestDefined("topk", in, decoded,
                             spec.rice_indices() ? KeptOf(spec, in.size()) : kept);
}

}  // namespace

int64_t SharePairs(double density, int64_t count) {
  // 0.07 * 100 is a little above 7 in double precision and is meant to be 7.
  const double kept = std::ceil(density * static_cast<double>(count) * (1 - 1e-9));
  return std::clamp<int64_t>(static_cast<int64_t>(kept), 1, count);
}

absl::Status CheckLargestKept(absl::Span<const float> in, absl::Span<const float> out,
                              size_t kept) {
  const std::vector<size_t> order = OrderOf(in);
  for (size_t place = 0; place < order.size(); ++place) {
    const size_t i = order[place];
    const float expected = place < kept ? in[i] : 0.0f;
    if (out[i] == expected) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("element ", i, " = ", in[i], ", number ", place,
                     " by magnitude and index, comes out as ", out[i], " with ", kept, " kept"));
  }
  const double bound =
      in.empty() ? 0
                 : (1 - static_cast<double>(kept) / static_cast<double>(in.size())) * Energy(in);
  const double residual = ResidualEnergy(in, out);
  if (residual <= bound + kEnergyError * Energy(in)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("|x - C(x)|^2 = ", residual, ", more than (1 - k/d)|x|^2 = ", bound));
}

absl::Status CheckLargestDefined(const char* codec, absl::Span<const float> in,
                                 absl::Span<const float> decoded, int64_t kept) {
  int64_t found = 0;
  float smallest = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < in.size(); ++i) {
    if (decoded[i] == 0) continue;
    if (decoded[i] != in[i]) return DecodedWrong(codec, i, in[i], decoded[i], "itself or 0");
    ++found;
    smallest = std::min(smallest, std::fabs(in[i]));
  }
  if (found != kept)
    return absl::DataLossError(
        absl::StrCat("codec \"", codec, "\": kept ", found, ", expected ", kept));
  bool dropped_tie = false;
  for (size_t i = 0; i < in.size(); ++i) {
    const float magnitude = std::fabs(in[i]);
    const bool is_kept = decoded[i] != 0;
    if (!is_kept && magnitude > smallest)
      return DecodedWrong(codec, i, in[i], 0, "itself: it is above the smallest kept");
    if (magnitude != smallest) continue;
    if (is_kept && dropped_tie) {
      return DecodedWrong(codec, i, in[i], in[i], "0: of equal magnitudes the lower index is kept");
    }
    dropped_tie = dropped_tie || !is_kept;
  }
  return absl::OkStatus();
}

constexpr CodecOracle kTopkOracle = {Size, nullptr, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
