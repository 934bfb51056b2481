#include "tests/cluster/blocks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// Whether `ratio` is nearer to `expected` than to `bound`, as ratios are compared: by their
// logarithms. Bounds of 0 and infinity are far from everything.
bool IsNearer(double ratio, double expected, double bound) {
  return std::abs(std::log(ratio / expected)) < std::abs(std::log(bound / ratio));
}

std::string TextOf(const Claim& claim, const std::vector<double>& ratios) {
  return absl::StrCat(claim.what, ": expected ", claim.expected, ", at least ", claim.low,
                      " and at most ", claim.high, "; measured ", absl::StrJoin(ratios, ", "));
}

}  // namespace

Verdict Judge(const Claim& claim, const std::vector<double>& ratios) {
  const int blocks = static_cast<int>(ratios.size());
  const int inside =
      static_cast<int>(std::count_if(ratios.begin(), ratios.end(), [&](double ratio) {
        return claim.low <= ratio && ratio <= claim.high;
      }));
  if (blocks == 1 && inside == 1 && IsNearer(ratios[0], claim.expected, claim.low) &&
      IsNearer(ratios[0], claim.expected, claim.high)) {
    return Verdict::kHolds;
  }
  const int needed = blocks <= 3 ? 3 : kBlocksMost / 2 + 1;
  if (inside >= needed) return Verdict::kHolds;
  if (blocks - inside >= needed) return Verdict::kIsBroken;
  return Verdict::kOpen;
}

void ExpectInBlocks(const std::vector<Claim>& claims, const std::function<Measured()>& block) {
  std::vector<std::vector<double>> ratios(claims.size());
  std::vector<Verdict> verdicts(claims.size(), Verdict::kOpen);
  while (std::count(verdicts.begin(), verdicts.end(), Verdict::kOpen) > 0) {
    const Measured measured = block();
    if (testing::Test::HasFailure()) return;
    for (size_t i = 0; i < claims.size(); ++i) {
      ratios[i].push_back(claims[i].ratio(measured));
      if (verdicts[i] == Verdict::kOpen) verdicts[i] = Judge(claims[i], ratios[i]);
    }
  }
  for (size_t i = 0; i < claims.size(); ++i) {
    EXPECT_EQ(verdicts[i], Verdict::kHolds) << TextOf(claims[i], ratios[i]);
    std::printf("%s\n", TextOf(claims[i], ratios[i]).c_str());
  }
}

}  // namespace ringmaster
