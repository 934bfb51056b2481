#include "common/codec/level_oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

using Rounding = LevelPromise::Rounding;

constexpr double kLargestFloat = std::numeric_limits<float>::max();

// Of one block. The float that goes over the wire is within 2^-22 of it.
double UnitOf(const LevelPromise& promise, absl::Span<const float> block) {
  double largest = 0;
  for (const float value : block)
    largest = std::max(largest, std::fabs(static_cast<double>(value)));
  const double scale =
      promise.by_norm ? std::min(std::sqrt(Energy(block)), kLargestFloat) : largest;
  const double unit = scale / promise.levels;
  return static_cast<float>(unit) < std::numeric_limits<float>::min() ? 0 : unit;
}

// Calls check(index, element, decoded, unit) for all elements until one is not in order.
template <class Check>
absl::Status ForAll(const LevelPromise& promise, absl::Span<const float> in,
                    absl::Span<const float> out, Check check) {
  const size_t size = static_cast<size_t>(promise.block);
  for (size_t begin = 0; begin < in.size(); begin += size) {
    const double unit = UnitOf(promise, in.subspan(begin, size));
    for (size_t i = begin; i < std::min(in.size(), begin + size); ++i) {
      const absl::Status status = check(i, in[i], out[i], unit);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

// How far a float may be from the multiple that it becomes, in units: exactly 1 is too far for one
// that is rounded at random.
double Reach(const LevelPromise& promise) {
  return promise.rounding == Rounding::kNearest ? 0.5 + 1e-5 : 1 - 1e-7;
}

}  // namespace

EncodedSize LevelSize(const LevelPromise& promise, int64_t count) {
  const double bits = 1 + std::ceil(std::log2(promise.levels + 1.0));
  const int64_t blocks = (count + promise.block - 1) / promise.block;
  return {4 * blocks + (count * static_cast<int64_t>(bits) + 7) / 8, 0};
}

absl::Status CheckLevelBound(const LevelPromise& promise, absl::Span<const float> in,
                             absl::Span<const float> out) {
  return ForAll(promise, in, out, [&](size_t i, double x, double decoded, double unit) {
    // The multiple is a product of two floats that were rounded.
    const double bound =
        unit == 0 ? std::fabs(x) : Reach(promise) * unit + 0x1p-21 * std::fabs(decoded);
    const bool is_kept = unit > 0 || decoded == 0;
    if (is_kept && std::fabs(x - decoded) <= bound) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("element ", i, " goes in as ", x, " and comes out as ", decoded,
                     ", more than ", bound, " away in a block whose unit is ", unit));
  });
}

absl::Status CheckLevelDefinition(const LevelPromise& promise, absl::Span<const float> in,
                                  absl::Span<const float> decoded) {
  return ForAll(promise, in, decoded, [&](size_t i, float x, float found, double unit) {
    if (unit == 0) {
      if (found == 0) return absl::OkStatus();
      return DecodedWrong(promise.codec, i, x, found, "0: its block's unit is none");
    }
    const double whole = std::nearbyint(found / unit);
    const bool is_multiple = std::fabs(found - whole * unit) <= 0x1p-21 * std::fabs(whole * unit);
    const bool is_beside = std::fabs(x / unit - whole) <= Reach(promise) + 1e-6 * std::fabs(whole);
    if (is_multiple && is_beside && std::fabs(whole) <= promise.levels) return absl::OkStatus();
    return DecodedWrong(
        promise.codec, i, x, found,
        absl::StrCat(promise.rounding == Rounding::kNearest ? "the nearest" : "a",
                     " multiple beside it of ", unit, ", at most ", promise.levels, " times that"));
  });
}

double LevelQuarterVariance(const LevelPromise& promise, absl::Span<const float> in) {
  double bound = 0;
  const size_t size = static_cast<size_t>(promise.block);
  for (size_t begin = 0; begin < in.size(); begin += size) {
    const absl::Span<const float> block = in.subspan(begin, size);
    const double unit = UnitOf(promise, block);
    bound += 0.25 * unit * unit * static_cast<double>(block.size());
  }
  return bound;
}

}  // namespace ringmaster
