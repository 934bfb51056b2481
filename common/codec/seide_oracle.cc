#include "common/codec/seide_oracle.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

EncodedSize Size(const CodecSpec& spec, int64_t count) {
  if (count == 0) return {};
  return {(count + 7) / 8 + 8, 0};
}

struct Group {
  long double sum = 0;
  int64_t count = 0;

  double Mean() const {
    return count == 0 ? 0 : static_cast<double>(sum / static_cast<long double>(count));
  }
};

// The index of the first element that is not its group's mean, or in.size(). `expected`: that mean.
size_t FirstWrong(absl::Span<const float> in, absl::Span<const float> out, double* expected) {
  Group groups[2];  // by the sign bit
  long double l1 = 0;
  for (const float value : in) {
    Group& group = groups[std::signbit(value) ? 1 : 0];
    group.sum += value;
    ++group.count;
    l1 += std::fabs(value);
  }
  for (size_t i = 0; i < in.size(); ++i) {
    const Group& group = groups[std::signbit(in[i]) ? 1 : 0];
    *expected = group.Mean();
    // The mean is rounded to float once. The negatives' sum may be the difference of two sums of
    // doubles, each off by a part of all magnitudes.
    const double bound = 0x1p-23 * std::fabs(*expected) + 0x1p-149 +
                         1e-12 * static_cast<double>(l1) / static_cast<double>(group.count);
    if (!(std::fabs(out[i] - *expected) <= bound)) return i;
  }
  return in.size();
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  double expected = 0;
  const size_t wrong = FirstWrong(in, out, &expected);
  if (wrong == in.size()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("element ", wrong, " goes in as ", in[wrong],
                                                    " and comes out as ", out[wrong],
                                                    ", its sign's mean is ", expected));
}

// x - mean and + mean both round.
bool RestoresBits(const CodecSpec& spec, float x) { return false; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  double expected = 0;
  const size_t wrong = FirstWrong(in, decoded, &expected);
  if (wrong == in.size()) return absl::OkStatus();
  return DecodedWrong("seide", wrong, in[wrong], decoded[wrong], absl::StrCat(expected));
}

}  // namespace

constexpr CodecOracle kSeideOracle = {Size, nullptr, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
