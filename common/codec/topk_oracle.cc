#include "common/codec/topk_oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

EncodedSize Size(const CodecSpec& spec, int64_t count) {
  if (count == 0) return {};
  // 0.07 * 100 is a little above 7 in double precision and is meant to be 7.
  const double kept = std::ceil(spec.density() * static_cast<double>(count) * (1 - 1e-9));
  const int64_t pairs = std::clamp<int64_t>(static_cast<int64_t>(kept), 1, count);
  return {8 * pairs, 4 * pairs};
}

absl::Status CheckBound(absl::Span<const float> in, absl::Span<const float> out,
                        int64_t encoded_bytes) {
  const size_t kept = static_cast<size_t>(encoded_bytes) / 8;
  std::vector<size_t> order(in.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::fabs(in[a]) > std::fabs(in[b]); });
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

bool RestoresBits(float x) { return true; }

absl::Status CheckDefinition(absl::Span<const float> in, absl::Span<const float> decoded,
                             int64_t kept) {
  int64_t found = 0;
  float smallest = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < in.size(); ++i) {
    if (decoded[i] == 0) continue;
    if (decoded[i] != in[i]) return DecodedWrong("topk", i, in[i], decoded[i], "itself or 0");
    ++found;
    smallest = std::min(smallest, std::fabs(in[i]));
  }
  if (found != kept)
    return absl::DataLossError(absl::StrCat("codec \"topk\": kept ", found, ", expected ", kept));
  bool dropped_tie = false;
  for (size_t i = 0; i < in.size(); ++i) {
    const float magnitude = std::fabs(in[i]);
    const bool is_kept = decoded[i] != 0;
    if (!is_kept && magnitude > smallest)
      return DecodedWrong("topk", i, in[i], 0, "itself: it is above the smallest kept");
    if (magnitude != smallest) continue;
    if (is_kept && dropped_tie) {
      return DecodedWrong("topk", i, in[i], in[i],
                          "0: of equal magnitudes the lower index is kept");
    }
    dropped_tie = dropped_tie || !is_kept;
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kTopkOracle = {Size, 0, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
