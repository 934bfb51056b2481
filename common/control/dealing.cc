#include "common/control/dealing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

// A claim has at most this part of a rank's even share of what is left.
constexpr int64_t kPartOfShare = 4;

}  // namespace

ClaimDealer::ClaimDealer(const ClaimRules& rules)
    : rules_(rules), next_(rules.first + rules.ranks), began_(rules.ranks) {
  RM_CHECK(rules.ranks >= 1 && rules.first >= 0 && rules.end - rules.first >= rules.ranks);
}

absl::StatusOr<LotClaim> ClaimDealer::Ask(int32_t rank, int32_t wanted) {
  if (rank < 0 || rank >= rules_.ranks || wanted < 1) {
    return absl::InvalidArgumentError(absl::StrCat("worker/", rank, " asks for ", wanted,
                                                   " lots: expected 1 or more, of workers 0 to ",
                                                   rules_.ranks - 1));
  }
  if (!began_[rank]) {
    began_[rank] = true;
    return LotClaim{rank, rules_.first + rank, 1};
  }
  const int64_t share = left() / (kPartOfShare * rules_.ranks);
  const int64_t count = std::min(left(), std::min<int64_t>(wanted, std::max<int64_t>(1, share)));
  const LotClaim claim{rank, next_, static_cast<int32_t>(count)};
  next_ += count;
  return claim;
}

}  // namespace ringmaster
