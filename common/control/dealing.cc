#include "common/control/dealing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

// A claim has at most this part of a rank's even share of what is left.
constexpr int64_t kPartOfShare = 4;

}  // namespace

ClaimDealer::ClaimDealer(const ClaimRules& rules)
    : rules_(rules), next_(rules.first + rules.ranks), asking_(rules.ranks) {
  RM_CHECK(rules.ranks >= 1 && rules.first >= 0 && rules.end - rules.first >= rules.ranks);
}

absl::Status ClaimDealer::Ask(int32_t rank, int32_t wanted, std::vector<LotClaim>* dealt) {
  if (rank < 0 || rank >= rules_.ranks || wanted < 1) {
    return absl::InvalidArgumentError(absl::StrCat("worker/", rank, " asks for ", wanted,
                                                   " lots: expected 1 or more, of workers 0 to ",
                                                   rules_.ranks - 1));
  }
  Asking& asking = asking_[rank];
  if (asking.wanted > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("worker/", rank, " asks for lots, and its last question is not answered yet"));
  }
  asking.wanted = wanted;
  if (open_) dealt->push_back(Deal(rank));
  return absl::OkStatus();
}

void ClaimDealer::SetOpen(bool open, std::vector<LotClaim>* dealt) {
  open_ = open;
  if (!open_) return;
  for (int32_t rank = 0; rank < rules_.ranks; ++rank) {
    if (asking_[rank].wanted > 0) dealt->push_back(Deal(rank));
  }
}

LotClaim ClaimDealer::Deal(int32_t rank) {
  Asking& asking = asking_[rank];
  const int64_t wanted = std::exchange(asking.wanted, 0);
  if (!std::exchange(asking.began, true)) return {rank, rules_.first + rank, 1};
  const int64_t share = left() / (kPartOfShare * rules_.ranks);
  const int64_t count = std::min(left(), std::min(wanted, std::max<int64_t>(1, share)));
  const LotClaim claim{rank, next_, static_cast<int32_t>(count)};
  next_ += count;
  return claim;
}

}  // namespace ringmaster
