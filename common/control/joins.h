#ifndef RINGMASTER_COMMON_CONTROL_JOINS_H_
#define RINGMASTER_COMMON_CONTROL_JOINS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/machine/host_identity.h"
#include "common/security/challenge.h"
#include "proto/control.pb.h"

namespace ringmaster {

// Says in a join which process this is: its number and where it lives.
void SayWhoJoins(Join* join);

// Where the process that joins lives.
HostIdentity HostOf(const Join& join);

// The host of each process, in the order of `joins`: hosts are numbered from 0 in the order in
// which they first occur. Two processes are on one host where boot and network namespace are the
// same; where the system does not say one of the two, where they listen at the same address. Who
// does not say it is on no host with who does. Pure, thread-safe.
std::vector<int32_t> NumberHosts(const std::vector<Join>& joins);

// "worker/1+server/1"
std::string NodesOf(const Join& join);

// Raised when the control messages change, so that two builds never misread each other.
inline constexpr uint32_t kControlVersion = 2;

// How a process and the coordinator prove to each other that they have the job's token
// (common/security/challenge.h): Hello, Challenge, Join. The join's proof is bound to all that the
// join says. Both are pure; a stream has one of each. Not thread-safe.

// The coordinator's end.
class TokenExaminer {
 public:
  // `nonce` is fresh.
  TokenExaminer(std::string token, const Nonce& nonce);

  // The first message of a stream. FailedPrecondition: it is of another build. InvalidArgument: it
  // is no hello.
  absl::StatusOr<Challenge> OnFirst(const FromProcess& message);

  // Whether who says `join`, in answer to the challenge, has the token. PermissionDenied: not.
  absl::Status OnJoin(const Join& join) const;

 private:
  const std::string token_;
  Exchange exchange_;
};

// The process's end.
class TokenCandidate {
 public:
  // `nonce` is fresh.
  TokenCandidate(std::string token, const Nonce& nonce);

  Hello hello() const;

  // Puts the proof into `join`, of which nothing may be changed after that. PermissionDenied: the
  // coordinator does not have the token; it is told nothing.
  absl::Status OnChallenge(const Challenge& challenge, Join* join);

 private:
  const std::string token_;
  Exchange exchange_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_JOINS_H_
