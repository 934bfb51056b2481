#include "common/transport/membership.h"

#include "absl/strings/str_cat.h"
#include "common/base/fingerprint.h"
#include "common/transport/frame.h"

namespace ringmaster {
uint64_t TermsFingerprint(const Membership& membership) {
  std::string text = absl::StrCat(membership.transport, " segment ", membership.segment_bytes);
  for (const ProcessAddress& process : membership.processes) {
    absl::StrAppend(&text, ";");
    for (const NodeId& node : process.nodes) absl::StrAppend(&text, " ", ToString(node));
  }
  return Fingerprint64(text);
}

JoinVerdict JudgeClaim(const JoinClaim& claim, uint64_t terms, int32_t self, int32_t processes) {
  if (claim.terms != terms) return JoinVerdict::kWrongTerms;
  if (claim.process <= self || claim.process >= processes) return JoinVerdict::kTaken;
  return JoinVerdict::kWelcome;
}

absl::Status VerdictStatus(JoinVerdict verdict) {
  switch (verdict) {
    case JoinVerdict::kWelcome:
      return absl::OkStatus();
    case JoinVerdict::kWrongToken:
      return absl::PermissionDeniedError(
          "the token was refused; all processes of a run share one token, and no other run's");
    case JoinVerdict::kWrongVersion:
      return absl::FailedPreconditionError(absl::StrCat("another wire version than this build's ",
                                                        kWireVersion,
                                                        "; use one build for all ranks"));
    case JoinVerdict::kWrongTerms:
      return absl::FailedPreconditionError(
          "another transport, segment size or list of processes; give all processes of a run the "
          "same");
    case JoinVerdict::kTaken:
      return absl::FailedPreconditionError(
          "this process's index is taken; has a rank been started twice?");
  }
  return absl::InternalError(
      absl::StrCat("verdict ", static_cast<uint32_t>(verdict), " is unknown"));
}

}  // namespace ringmaster
