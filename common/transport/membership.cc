#include "common/transport/membership.h"

#include "absl/strings/str_cat.h"
#include "common/base/fingerprint.h"
#include "common/transport/frame.h"

namespace ringmaster {
namespace {

bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

std::string TokenDigest(absl::string_view token) {
  return Sha256Hex(absl::StrCat("ringmaster token ", token));
}

uint64_t TermsFingerprint(const Membership& membership) {
  std::string text = absl::StrCat(membership.transport, " segment ", membership.segment_bytes);
  for (const ProcessAddress& process : membership.processes) {
    absl::StrAppend(&text, ";");
    for (const NodeId& node : process.nodes) absl::StrAppend(&text, " ", ToString(node));
  }
  return Fingerprint64(text);
}

JoinVerdict JudgeRequest(const JoinRequest& request, absl::string_view token_digest, uint64_t terms,
                         const Membership& membership) {
  if (!EqualInConstantTime(request.token_digest, token_digest)) return JoinVerdict::kWrongToken;
  if (request.version != kWireVersion) return JoinVerdict::kWrongVersion;
  if (request.terms != terms) return JoinVerdict::kWrongTerms;
  const int64_t count = membership.processes.size();
  if (request.process <= membership.self || request.process >= count) return JoinVerdict::kTaken;
  return JoinVerdict::kWelcome;
}

absl::Status VerdictStatus(JoinVerdict verdict, absl::string_view peer) {
  switch (verdict) {
    case JoinVerdict::kWelcome:
      return absl::OkStatus();
    case JoinVerdict::kWrongToken:
      return absl::PermissionDeniedError(absl::StrCat(
          peer,
          ": the token was refused; all processes of a run share one token, and no other run's"));
    case JoinVerdict::kWrongVersion:
      return absl::FailedPreconditionError(
          absl::StrCat(peer, ": another wire version than this build's ", kWireVersion,
                       "; use one build for all ranks"));
    case JoinVerdict::kWrongTerms:
      return absl::FailedPreconditionError(
          absl::StrCat(peer,
                       ": another transport, segment size or list of processes; give all processes "
                       "of a run the same"));
    case JoinVerdict::kTaken:
      return absl::FailedPreconditionError(
          absl::StrCat(peer, ": this process's index is taken; has a rank been started twice?"));
  }
  return absl::InternalError(
      absl::StrCat(peer, ": verdict ", static_cast<uint32_t>(verdict), " is unknown"));
}

}  // namespace ringmaster
