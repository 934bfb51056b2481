#include "experiments/proof/bench/bench_pattern.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/random.h"

namespace ringmaster {
namespace {

constexpr size_t kPeriod = 1021;
constexpr uint64_t kValuesBelow = 4096;
static_assert(kValuesBelow * BenchPattern::kRanksMax < (1 << 24), "sums are exact as floats");

}  // namespace

BenchPattern::BenchPattern(int32_t rank, int32_t ranks) : own_(2 * kPeriod), sum_(2 * kPeriod) {
  RM_CHECK(0 <= rank && rank < ranks && ranks <= kRanksMax);
  for (int32_t r = 0; r < ranks; ++r) {
    Random random(MixSeed(1, r));
    for (size_t i = 0; i < kPeriod; ++i) {
      const float value = static_cast<float>(random.Below(kValuesBelow));
      sum_[i] += value;
      if (r == rank) own_[i] = value;
    }
  }
  std::copy_n(own_.begin(), kPeriod, own_.begin() + kPeriod);
  std::copy_n(sum_.begin(), kPeriod, sum_.begin() + kPeriod);
}

void BenchPattern::Fill(int64_t call, absl::Span<float> out) const {
  const float* period = own_.data() + call % kPeriod;
  for (size_t begin = 0; begin < out.size(); begin += kPeriod) {
    std::memcpy(out.data() + begin, period, std::min(kPeriod, out.size() - begin) * sizeof(float));
  }
}

absl::Status BenchPattern::Check(int64_t call, absl::Span<const float> sums) const {
  const float* period = sum_.data() + call % kPeriod;
  size_t wrong = 0;
  size_t first_wrong = 0;
  for (size_t begin = 0; begin < sums.size(); begin += kPeriod) {
    const size_t count = std::min(kPeriod, sums.size() - begin);
    if (std::memcmp(sums.data() + begin, period, count * sizeof(float)) == 0) continue;
    for (size_t i = 0; i < count; ++i) {
      if (std::memcmp(&sums[begin + i], &period[i], sizeof(float)) == 0) continue;
      if (wrong == 0) first_wrong = begin + i;
      ++wrong;
    }
  }
  if (wrong == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "wrong sum: ", wrong, " of ", sums.size(), " elements, the first at ", first_wrong, ": ",
      sums[first_wrong], ", expected ", period[first_wrong % kPeriod]));
}

}  // namespace ringmaster
