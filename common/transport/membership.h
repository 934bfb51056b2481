#ifndef RINGMASTER_COMMON_TRANSPORT_MEMBERSHIP_H_
#define RINGMASTER_COMMON_TRANSPORT_MEMBERSHIP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/security/credentials.h"
#include "common/transport/fabric.h"

namespace ringmaster {

// How long a stranger may be silent.
inline constexpr absl::Duration kIntroductionLimit = absl::Seconds(10);

// Who joins, and on what terms: both ends of a connection must have the same.
struct Membership {
  std::string transport;  // "tcp": the name of the fabric
  JobCredentials credentials;
  int64_t segment_bytes = 0;
  std::vector<ProcessAddress> processes;
  int32_t self = 0;
  uint32_t stream_port = 0;  // of Introducer
  // Asked again and again while processes connect: an error ends that. Null: nobody aborts it.
  std::function<absl::Status()> aborted = nullptr;
  // How long an accepted connection may take to prove the token.
  absl::Duration introduction_limit = kIntroductionLimit;

  absl::Status Aborted() const { return aborted ? aborted() : absl::OkStatus(); }
};

// How often it is asked.
inline constexpr int kAbortPollMs = 100;

// Of the segment size and of who lives in which process (not of endpoints, which may be seen
// differently).
uint64_t TermsFingerprint(const Membership& membership);

// What a process that has proved the token says of itself.
struct JoinClaim {
  uint64_t terms = 0;
  int32_t process = 0;
};

enum class JoinVerdict : uint32_t {
  kWelcome = 0,
  kWrongToken = 1,
  kWrongVersion = 2,
  kWrongTerms = 3,
  kTaken = 4
};

// Judges a claim at process `self` of `processes`, which has the terms `terms`. kTaken: the index
// is none of the processes above the judge's, which alone connect to it; whether it is connected
// already is for the caller to know.
JoinVerdict JudgeClaim(const JoinClaim& claim, uint64_t terms, int32_t self, int32_t processes);

// The verdict as the refused process reports it; OK for kWelcome.
absl::Status VerdictStatus(JoinVerdict verdict);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_MEMBERSHIP_H_
