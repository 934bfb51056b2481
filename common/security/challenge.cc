#include "common/security/challenge.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstring>

#include "common/base/check.h"

namespace ringmaster {
namespace {

constexpr absl::string_view kPurpose = "ringmaster challenge";

template <typename T>
void Append(T value, std::string* text) {
  text->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

Nonce FreshNonce() {
  Nonce nonce;
  // Fails only where the system has no random numbers at all.
  RM_CHECK(RAND_bytes(nonce.data(), nonce.size()) == 1);
  return nonce;
}

Proof Prove(absl::string_view token, Prover prover, const Exchange& exchange,
            absl::string_view says) {
  // All before the last field has a fixed length: no two exchanges give the same text.
  std::string text(kPurpose);
  Append(static_cast<uint8_t>(prover), &text);
  Append(exchange.version, &text);
  text.append(BytesOf(exchange.opener));
  text.append(BytesOf(exchange.answerer));
  text.append(says.data(), says.size());
  // OpenSSL takes no null key, and an empty token may have none.
  const char* const key = token.empty() ? "" : token.data();
  Proof proof;
  unsigned int length = 0;
  RM_CHECK(HMAC(EVP_sha256(), key, static_cast<int>(token.size()),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(), proof.data(),
                &length) != nullptr);
  RM_CHECK(length == proof.size());
  return proof;
}

bool IsProof(absl::string_view proof, absl::string_view token, Prover prover,
             const Exchange& exchange, absl::string_view says) {
  const Proof expected = Prove(token, prover, exchange, says);
  return proof.size() == expected.size() &&
         CRYPTO_memcmp(proof.data(), expected.data(), expected.size()) == 0;
}

std::string BytesOf(const std::array<uint8_t, 32>& value) {
  return std::string(reinterpret_cast<const char*>(value.data()), value.size());
}

bool ReadNonce(absl::string_view text, Nonce* nonce) {
  if (text.size() != nonce->size()) return false;
  std::memcpy(nonce->data(), text.data(), nonce->size());
  return true;
}

}  // namespace ringmaster
