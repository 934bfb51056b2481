#ifndef RINGMASTER_COMMON_TRANSPORT_MEMBERSHIP_H_
#define RINGMASTER_COMMON_TRANSPORT_MEMBERSHIP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/transport/fabric.h"

namespace ringmaster {

// Who joins, and on what terms: both ends of a connection must have the same.
struct Membership {
  std::string transport;  // "tcp": the name of the fabric
  std::string token;
  int64_t segment_bytes = 0;
  std::vector<ProcessAddress> processes;
  int32_t self = 0;
  // Asked again and again while processes connect: an error ends that. Null: nobody aborts it.
  std::function<absl::Status()> aborted = nullptr;

  absl::Status Aborted() const { return aborted ? aborted() : absl::OkStatus(); }
};

// How often it is asked.
inline constexpr int kAbortPollMs = 100;

// What stands for the token on the wire: 64 hexadecimal digits.
std::string TokenDigest(absl::string_view token);

// Of the segment size and of who lives in which process (not of endpoints, which may be seen
// differently).
uint64_t TermsFingerprint(const Membership& membership);

// What a connecting process says of itself.
struct JoinRequest {
  uint32_t version = 0;
  absl::string_view token_digest;
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

// Judges a request with the judge's own digest and terms. The token comes first and is compared in
// constant time: a stranger learns nothing else. kTaken: the index is none of the processes above
// the judge's, which alone connect to it; whether it is connected already is for the caller to
// know.
JoinVerdict JudgeRequest(const JoinRequest& request, absl::string_view token_digest, uint64_t terms,
                         const Membership& membership);

// The verdict as the refused process reports it; OK for kWelcome. `peer` names the process that
// judged.
absl::Status VerdictStatus(JoinVerdict verdict, absl::string_view peer);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_MEMBERSHIP_H_
