#ifndef RINGMASTER_COMMON_SECURITY_CHALLENGE_H_
#define RINGMASTER_COMMON_SECURITY_CHALLENGE_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace ringmaster {

// How two processes prove to each other that they have one job's token, without sending it. Each
// sends a nonce, a random number that is never used again. A proof is the HMAC-SHA256 of a role,
// the protocol's version, both nonces and all that the prover says, under the token as key. The
// role keeps a proof from being sent back to who made it, the nonces from being used a second time.
// Who watches can try tokens against a recorded proof, so a token must be long and random.
inline constexpr size_t kNonceBytes = 32;
inline constexpr size_t kProofBytes = 32;
using Nonce = std::array<uint8_t, kNonceBytes>;
using Proof = std::array<uint8_t, kProofBytes>;

// Whose proof it is: of the control channel's ends, and of the data channel's.
enum class Prover : uint8_t { kCoordinator = 1, kProcess = 2, kListener = 3, kDialler = 4 };

// What two ends know of each other once both nonces are sent.
struct Exchange {
  uint32_t version = 0;  // of the protocol
  Nonce opener{};        // of the end that spoke first
  Nonce answerer{};
};

// A fresh nonce, of the system's random numbers. Thread-safe.
Nonce FreshNonce();

// The proof of `prover` that it has `token`, for this exchange alone, bound to what it says.
// Deterministic. Thread-safe.
Proof Prove(absl::string_view token, Prover prover, const Exchange& exchange,
            absl::string_view says);

// Whether `proof` is what Prove returns. A proof of another length is none. Takes a time that does
// not depend on how much of it is right. Thread-safe.
bool IsProof(absl::string_view proof, absl::string_view token, Prover prover,
             const Exchange& exchange, absl::string_view says);

// Nonces and proofs as messages carry them. A text of another length is no nonce: false.
std::string BytesOf(const std::array<uint8_t, 32>& value);
bool ReadNonce(absl::string_view text, Nonce* nonce);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SECURITY_CHALLENGE_H_
