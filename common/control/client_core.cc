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
      break;
    case ToProcess::kRelease:
      released_.insert(message.release().barrier());
      break;
    case ToProcess::kAbort:
      return Fail(StatusOf(message.abort()));
    case ToProcess::kGoodbye:
      if (status_.ok()) goodbye_ = true;
      break;
    case ToProcess::kNoted:
      noted_ = true;
      break;
    case ToProcess::KIND_NOT_SET:
      break;
  }
  return absl::OkStatus();
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
