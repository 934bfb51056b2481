#include "common/security/challenge.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

Exchange ExchangeOf(uint8_t opener, uint8_t answerer) {
  Exchange exchange;
  exchange.version = 7;
  exchange.opener.fill(opener);
  exchange.answerer.fill(answerer);
  return exchange;
}

TEST(Challenge, AProofIsTheHmacThatPythonComputesToo) {
  // hmac.new(b"secret", b"ringmaster challenge" + b"\x02" + (7).to_bytes(4, "little") + b"\x01" *
  // 32
  //          + b"\x02" * 32 + b"rank 3", "sha256").hexdigest()
  const Proof proof = Prove("secret", Prover::kProcess, ExchangeOf(1, 2), "rank 3");
  EXPECT_EQ(absl::BytesToHexString(BytesOf(proof)),
            "b7d8d208dc999b4d5516c129fba0f6e2a3422b2faf92c6f42070edf9bdac6c05");
}

TEST(Challenge, AProofIsGoodForNothingElse) {
  const Exchange exchange = ExchangeOf(1, 2);
  const std::string proof = BytesOf(Prove("secret", Prover::kProcess, exchange, "rank 3"));
  EXPECT_TRUE(IsProof(proof, "secret", Prover::kProcess, exchange, "rank 3"));
  EXPECT_FALSE(IsProof(proof, "Secret", Prover::kProcess, exchange, "rank 3"));
  EXPECT_FALSE(IsProof(proof, "", Prover::kProcess, exchange, "rank 3"));
  EXPECT_FALSE(IsProof(proof, "secret", Prover::kProcess, exchange, "rank 4"));
  EXPECT_FALSE(IsProof(proof, "secret", Prover::kProcess, exchange, ""));
  for (const Prover other : {Prover::kCoordinator, Prover::kListener, Prover::kDialler})
    EXPECT_FALSE(IsProof(proof, "secret", other, exchange, "rank 3"));
  EXPECT_FALSE(IsProof(proof, "secret", Prover::kProcess, ExchangeOf(1, 3), "rank 3"));
  EXPECT_FALSE(IsProof(proof, "secret", Prover::kProcess, ExchangeOf(2, 1), "rank 3"));
  Exchange newer = exchange;
  newer.version = 8;
  EXPECT_FALSE(IsProof(proof, "secret", Prover::kProcess, newer, "rank 3"));
}

TEST(Challenge, ATruncatedOrLongerProofIsNone) {
  const Exchange exchange = ExchangeOf(1, 2);
  const std::string proof = BytesOf(Prove("secret", Prover::kListener, exchange, "x"));
  for (size_t size = 0; size < proof.size(); ++size)
    EXPECT_FALSE(IsProof(proof.substr(0, size), "secret", Prover::kListener, exchange, "x"));
  EXPECT_FALSE(IsProof(proof + proof, "secret", Prover::kListener, exchange, "x"));
}

TEST(Challenge, NoncesDifferAndHaveOneLength) {
  EXPECT_NE(FreshNonce(), FreshNonce());
  Nonce nonce;
  EXPECT_TRUE(ReadNonce(std::string(32, 'n'), &nonce));
  EXPECT_EQ(nonce[31], 'n');
  EXPECT_FALSE(ReadNonce(std::string(31, 'n'), &nonce));
  EXPECT_FALSE(ReadNonce(std::string(33, 'n'), &nonce));
}

}  // namespace
}  // namespace ringmaster
