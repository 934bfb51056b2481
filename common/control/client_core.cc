#include "common/control/client_core.h"

#include "common/control/failures.h"

namespace ringmaster {

absl::Status ClientCore::OnMessage(const ToProcess& message) {
  switch (message.kind_case()) {
    case ToProcess::kAdmitted:
      admitted_ = true;
      break;
    case ToProcess::kWelcome:
      welcome_ = message.welcome();
      welcomed_ = true;
      noted_ = false;
      break;
    case ToProcess::kRelease:
      released_.insert(message.release().barrier());
      lost_when_released_ = lost_;
      break;
    case ToProcess::kLots: {
      const Lots& lots = message.lots();
      lots_[lots.rank()] = {lots.rank(), lots.first(), lots.count()};
      break;
    }
    case ToProcess::kAbort:
      return Fail(StatusOf(message.abort()));
    case ToProcess::kGoodbye:
      if (status_.ok()) goodbye_ = true;
      break;
    case ToProcess::kNoted:
      noted_ = true;
      break;
    case ToProcess::kRegroup:
      epoch_ = message.regroup().epoch();
      why_it_regroups_ = StatusOf(message.regroup().why());
      released_.clear();
      lots_.clear();
      break;
    case ToProcess::kLost:
      for (const NodeName& node : message.lost().nodes()) {
        if (!node.server()) lost_.insert(node.index());
      }
      break;
    case ToProcess::kChallenge:
    case ToProcess::KIND_NOT_SET:
      break;
  }
  return absl::OkStatus();
}

std::optional<LotClaim> ClientCore::TakeLots(int32_t rank) {
  if (forgotten_.count(rank) > 0) return LotClaim{rank, 0, 0};
  const auto found = lots_.find(rank);
  if (found == lots_.end()) return std::nullopt;
  const LotClaim claim = found->second;
  lots_.erase(found);
  return claim;
}

absl::Status ClientCore::OnStreamEnd(const absl::Status& lost) {
  if (!admitted_) {
    hung_up_ = true;
    return absl::OkStatus();
  }
  ended_ = true;
  return closing_ ? absl::OkStatus() : Fail(lost);
}

absl::Status ClientCore::Fail(const absl::Status& why) {
  if (goodbye_ || !status_.ok()) return absl::OkStatus();
  status_ = why;
  return why;
}

}  // namespace ringmaster
