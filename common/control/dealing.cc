#include "common/control/dealing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

// A claim has at most this part of a rank's even share of what is left.
constexpr int64_t kPartOfShare = 4;

}  // namespace

ClaimDealer::ClaimDealer(const ClaimRules& rules)
    : rules_(rules), next_(rules.first + rules.ranks), ranks_(rules.ranks) {
  RM_CHECK(rules.ranks >= 1 && rules.first >= 0 && rules.end - rules.first >= rules.ranks);
}

absl::StatusOr<LotClaim> ClaimDealer::Ask(int32_t rank, int32_t wanted) {
  if (rank < 0 || rank >= rules_.ranks || wanted < 1) {
    return absl::InvalidArgumentError(absl::StrCat("worker/", rank, " asks for ", wanted,
                                                   " lots: expected 1 or more, of workers 0 to ",
                                                   rules_.ranks - 1));
  }
  Rank& asker = ranks_[rank];
  if (asker.lost || asker.wanted > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("worker/", rank, " asks for lots, and ",
                     asker.lost ? "it is lost" : "its last question is not answered"));
  }
  const bool is_known =
      !rules_.deals_again || !asker.began || left() > 0 || !OthersHaveOpenLots(rank);
  if (is_known) return Deal(rank, wanted);
  asker.wanted = wanted;
  return LotClaim{rank, 0, 0, /*waits=*/true};
}

LotClaim ClaimDealer::Deal(int32_t rank, int32_t wanted) {
  Rank& asker = ranks_[rank];
  LotClaim claim{rank, rules_.first + rank, 1};
  if (asker.began) {
    const int64_t share = left() / (kPartOfShare * rules_.ranks);
    const int64_t count = std::min(left(), std::min<int64_t>(wanted, std::max<int64_t>(1, share)));
    if (!returned_.empty()) {
      claim = DealAgain(rank, count);
    } else {
      claim = {rank, next_, static_cast<int32_t>(count)};
      next_ += count;
    }
  }
  asker.began = true;
  for (int64_t lot = claim.first; rules_.deals_again && lot < claim.first + claim.count; ++lot)
    asker.open.push_back(lot);
  return claim;
}

// Up to `count` returned lots that follow each other.
LotClaim ClaimDealer::DealAgain(int32_t rank, int64_t count) {
  LotClaim claim{rank, returned_.front(), 0};
  while (claim.count < count && !returned_.empty() &&
         returned_.front() == claim.first + claim.count) {
    returned_.pop_front();
    ++claim.count;
  }
  return claim;
}

bool ClaimDealer::OthersHaveOpenLots(int32_t rank) const {
  for (int32_t other = 0; other < rules_.ranks; ++other) {
    const Rank& state = ranks_[other];
    // Who has yet to begin has its first lot.
    if (other != rank && !state.lost && (!state.began || !state.open.empty())) return true;
  }
  return false;
}

absl::Status ClaimDealer::Settle(int32_t rank, int64_t count) {
  const bool is_rank = rank >= 0 && rank < rules_.ranks;
  const int64_t dealt =
      is_rank ? ranks_[rank].settled + static_cast<int64_t>(ranks_[rank].open.size()) : 0;
  if (!is_rank || count > dealt) {
    return absl::InvalidArgumentError(absl::StrCat("worker/", rank, " has settled ", count,
                                                   " lots of ", dealt, " that it was dealt"));
  }
  Rank& state = ranks_[rank];
  for (; state.settled < count; ++state.settled) state.open.pop_front();
  return absl::OkStatus();
}

int64_t ClaimDealer::Lose(int32_t rank) {
  Rank& lost = ranks_[rank];
  RM_CHECK(!lost.lost);
  lost.lost = true;
  lost.wanted = 0;
  if (!rules_.deals_again) return 0;
  if (!lost.began) lost.open.push_back(rules_.first + rank);
  const auto count = static_cast<int64_t>(lost.open.size());
  returned_.insert(returned_.end(), lost.open.begin(), lost.open.end());
  std::sort(returned_.begin(), returned_.end());
  lost.open.clear();
  return count;
}

std::optional<LotClaim> ClaimDealer::TakeAnswer() {
  for (int32_t rank = 0; rank < rules_.ranks; ++rank) {
    Rank& asker = ranks_[rank];
    if (asker.wanted == 0 || (left() == 0 && OthersHaveOpenLots(rank))) continue;
    const int32_t wanted = asker.wanted;
    asker.wanted = 0;
    return Deal(rank, wanted);
  }
  return std::nullopt;
}

}  // namespace ringmaster
