#include "common/codec/topk_columns.h"

#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/rice.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = 4, kIndexBytes = 4;
constexpr int64_t kMagnitudeBytes = 2 * kFloatBytes, kValuesPerByte = 4;
constexpr unsigned kNegative = 1, kHigh = 2;

// The two magnitudes.
struct Magnitudes {
  float low = 0, high = 0;
};

Magnitudes MagnitudesOf(absl::Span<const float> values, double* mean) {
  double sum = 0;
  for (const float value : values) sum += std::fabs(static_cast<double>(value));
  *mean = sum / static_cast<double>(values.size());
  double sums[2] = {};
  int64_t counts[2] = {};
  for (const float value : values) {
    const double magnitude = std::fabs(static_cast<double>(value));
    const int group = magnitude > *mean ? 1 : 0;
    sums[group] += magnitude;
    ++counts[group];
  }
  const auto of = [&](int group) {
    const int taken = counts[group] > 0 ? group : 1 - group;
    return static_cast<float>(sums[taken] / static_cast<double>(counts[taken]));
  };
  return {of(0), of(1)};
}

void WriteTwoBits(absl::Span<float> values, absl::Span<std::byte> out) {
  double mean = 0;
  const Magnitudes magnitudes = MagnitudesOf(values, &mean);
  std::memcpy(out.data(), &magnitudes.low, kFloatBytes);
  std::memcpy(out.data() + kFloatBytes, &magnitudes.high, kFloatBytes);
  uint8_t* const codes = reinterpret_cast<uint8_t*>(out.data()) + kMagnitudeBytes;
  for (size_t i = 0; i < values.size(); ++i) {
    const bool is_high = std::fabs(static_cast<double>(values[i])) > mean;
    const unsigned code = (std::signbit(values[i]) ? kNegative : 0) | (is_high ? kHigh : 0);
    uint8_t& byte = codes[i / kValuesPerByte];
    if (i % kValuesPerByte == 0) byte = 0;
    byte = static_cast<uint8_t>(byte | code << (2 * (i % kValuesPerByte)));
    values[i] = std::copysign(is_high ? magnitudes.high : magnitudes.low, values[i]);
  }
}

absl::Status ReadTwoBits(absl::Span<const std::byte> in, absl::Span<float> values) {
  Magnitudes magnitudes;
  std::memcpy(&magnitudes.low, in.data(), kFloatBytes);
  std::memcpy(&magnitudes.high, in.data() + kFloatBytes, kFloatBytes);
  // Written so that NaNs are refused.
  if (!(!std::signbit(magnitudes.low) && magnitudes.low <= magnitudes.high &&
        std::isfinite(magnitudes.high))) {
    return absl::InvalidArgumentError(absl::StrCat("magnitudes ", magnitudes.low, " and ",
                                                   magnitudes.high,
                                                   ", expected finite ones, the lower one first"));
  }
  const auto* const codes = reinterpret_cast<const uint8_t*>(in.data()) + kMagnitudeBytes;
  for (size_t i = 0; i < values.size(); ++i) {
    const unsigned code = codes[i / kValuesPerByte] >> (2 * (i % kValuesPerByte));
    const float magnitude = (code & kHigh) != 0 ? magnitudes.high : magnitudes.low;
    values[i] = (code & kNegative) != 0 ? -magnitude : magnitude;
  }
  const size_t rest = values.size() % kValuesPerByte;
  if (rest != 0 && codes[values.size() / kValuesPerByte] >> (2 * rest) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits behind the ", values.size(), " values, expected zeros"));
  }
  return absl::OkStatus();
}

absl::Status ReadFloats(absl::Span<const std::byte> in, absl::Span<float> values) {
  std::memcpy(values.data(), in.data(), in.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("value ", i, " of ", values.size(), " is not finite"));
  }
  return absl::OkStatus();
}

absl::Status ReadIndices(absl::Span<const std::byte> in, const TopkChosen& chosen) {
  if (in.size() != kIndexBytes * chosen.indices.size()) {
    return absl::InvalidArgumentError(absl::StrCat(in.size(), " bytes of indices, expected ",
                                                   kIndexBytes * chosen.indices.size()));
  }
  if (!in.empty()) std::memcpy(chosen.indices.data(), in.data(), in.size());
  int32_t previous = -1;
  for (size_t i = 0; i < chosen.indices.size(); ++i) {
    const int32_t index = chosen.indices[i];
    if (index <= previous || index >= chosen.count) {
      return absl::InvalidArgumentError(absl::StrCat("index ", index, " at place ", i,
                                                     ", expected one above ", previous,
                                                     " and below ", chosen.count));
    }
    previous = index;
  }
  return absl::OkStatus();
}

}  // namespace

int64_t ValueBytes(const TopkColumns& columns, int64_t kept) {
  if (kept == 0) return 0;
  return columns.two_bit_values ? kMagnitudeBytes + CeilDiv(kept, kValuesPerByte)
                                : kFloatBytes * kept;
}

int64_t MaxIndexBytes(const TopkColumns& columns, int64_t count, int64_t kept) {
  return columns.rice_indices ? MaxRiceBytes(count, kept) : kIndexBytes * kept;
}

int64_t WriteColumns(const TopkColumns& columns, const TopkChosen& chosen,
                     absl::Span<std::byte> out) {
  if (chosen.values.empty()) return 0;
  const int64_t value_bytes = ValueBytes(columns, static_cast<int64_t>(chosen.values.size()));
  if (columns.two_bit_values) {
    WriteTwoBits(chosen.values, out.first(value_bytes));
  } else {
    std::memcpy(out.data(), chosen.values.data(), value_bytes);
  }
  const absl::Span<std::byte> rest = out.subspan(value_bytes);
  if (columns.rice_indices) return value_bytes + EncodeRice(chosen.count, chosen.indices, rest);
  const int64_t index_bytes = kIndexBytes * static_cast<int64_t>(chosen.indices.size());
  RM_CHECK(static_cast<int64_t>(rest.size()) >= index_bytes);
  std::memcpy(rest.data(), chosen.indices.data(), index_bytes);
  return value_bytes + index_bytes;
}

absl::Status ReadColumns(const TopkColumns& columns, absl::Span<const std::byte> in,
                         const TopkChosen& chosen) {
  const int64_t value_bytes = ValueBytes(columns, static_cast<int64_t>(chosen.values.size()));
  if (static_cast<int64_t>(in.size()) < value_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(in.size(), " bytes, expected ", value_bytes, " of values and then indices"));
  }
  if (value_bytes > 0) {
    RM_RETURN_IF_ERROR(columns.two_bit_values ? ReadTwoBits(in.first(value_bytes), chosen.values)
                                              : ReadFloats(in.first(value_bytes), chosen.values));
  }
  const absl::Span<const std::byte> rest = in.subspan(value_bytes);
  return columns.rice_indices ? DecodeRice(chosen.count, rest, chosen.indices)
                              : ReadIndices(rest, chosen);
}

}  // namespace ringmaster
