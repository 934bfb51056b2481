// How a process and the coordinator prove the token: what a recorded conversation is good for.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/control/joins.h"
#include "gtest/gtest.h"
#include "proto/control.pb.h"
#include "tests/common/control/core_run.h"

namespace ringmaster {
namespace {

constexpr char kToken[] = "5ecre7-5ecre7-5ecre7";

Nonce NonceOf(uint8_t byte) {
  Nonce nonce;
  nonce.fill(byte);
  return nonce;
}

FromProcess HelloOf(const TokenCandidate& candidate) {
  FromProcess message;
  *message.mutable_hello() = candidate.hello();
  return message;
}

// The conversation of one process that has the token.
struct Conversation {
  FromProcess hello;
  Challenge challenge;
  Join join = JoinOf(1, 2);
};
Conversation Converse(uint8_t opener = 1, uint8_t answerer = 2) {
  Conversation said;
  TokenCandidate candidate(kToken, NonceOf(opener));
  TokenExaminer examiner(kToken, NonceOf(answerer));
  said.hello = HelloOf(candidate);
  said.challenge = *examiner.OnFirst(said.hello);
  EXPECT_TRUE(candidate.OnChallenge(said.challenge, &said.join).ok());
  EXPECT_TRUE(examiner.OnJoin(said.join).ok());
  return said;
}

TEST(TokenProof, TheTokenIsNeverSaid) {
  const Conversation said = Converse();
  for (const std::string& text :
       {said.hello.SerializeAsString(), said.challenge.SerializeAsString(),
        said.join.SerializeAsString()})
    EXPECT_FALSE(absl::StrContains(text, std::string(kToken).substr(0, 6)));
}

TEST(TokenProof, WhoHasAnotherTokenIsFoundOutByBothEnds) {
  TokenCandidate candidate("another", NonceOf(1));
  TokenExaminer examiner(kToken, NonceOf(2));
  const Challenge challenge = *examiner.OnFirst(HelloOf(candidate));
  Join join = JoinOf(1, 2);
  const absl::Status found = candidate.OnChallenge(challenge, &join);
  EXPECT_TRUE(absl::IsPermissionDenied(found)) << found;
  EXPECT_TRUE(join.proof().empty());
  // It goes on in spite of it.
  TokenExaminer of_another("another", NonceOf(2));
  ASSERT_TRUE(candidate.OnChallenge(*of_another.OnFirst(HelloOf(candidate)), &join).ok());
  const absl::Status refused = examiner.OnJoin(join);
  EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "another job")) << refused;
}

TEST(TokenProof, WhatWasRecordedAdmitsNobodyAgainAndIsNoAnswerToItself) {
  const Conversation said = Converse();
  TokenExaminer examiner(kToken, NonceOf(9));
  ASSERT_TRUE(examiner.OnFirst(said.hello).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(examiner.OnJoin(said.join)));
  TokenCandidate candidate(kToken, NonceOf(9));
  Join join = JoinOf(1, 2);
  EXPECT_TRUE(absl::IsPermissionDenied(candidate.OnChallenge(said.challenge, &join)));
  // The coordinator's proof, sent back as the process's.
  TokenExaminer other(kToken, NonceOf(2));
  const Challenge challenge = *other.OnFirst(said.hello);
  Join reflected = JoinOf(1, 2);
  reflected.set_proof(challenge.proof());
  EXPECT_TRUE(absl::IsPermissionDenied(other.OnJoin(reflected)));
}

TEST(TokenProof, AllThatAJoinSaysIsBoundToItsProof) {
  TokenExaminer examiner(kToken, NonceOf(2));
  const Conversation said = Converse();
  ASSERT_TRUE(examiner.OnFirst(said.hello).ok());
  EXPECT_TRUE(examiner.OnJoin(said.join).ok());
  std::vector<Join> changed(6, said.join);
  changed[0].set_process(0);
  changed[1].set_spec_fingerprint(8);
  changed[2].set_data_endpoint("10.0.0.9:1");
  changed[3].add_nodes()->set_index(7);
  changed[4].set_proof(said.join.proof().substr(0, 31));
  changed[5].clear_proof();
  for (const Join& join : changed)
    EXPECT_TRUE(absl::IsPermissionDenied(examiner.OnJoin(join))) << join.ShortDebugString();
}

TEST(TokenProof, AnotherBuildAndAStrangersFirstWordsAreToldApart) {
  TokenExaminer examiner(kToken, NonceOf(2));
  FromProcess old;
  *old.mutable_join() = JoinOf(1, 2);
  const absl::Status refused = examiner.OnFirst(old).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "version 1 of the control protocol")) << refused;
  FromProcess newer = HelloOf(TokenCandidate(kToken, NonceOf(1)));
  newer.mutable_hello()->set_version(kControlVersion + 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(examiner.OnFirst(newer).status()));
  FromProcess truncated = HelloOf(TokenCandidate(kToken, NonceOf(1)));
  truncated.mutable_hello()->set_nonce("short");
  EXPECT_TRUE(absl::IsInvalidArgument(examiner.OnFirst(truncated).status()));
  FromProcess heartbeat;
  heartbeat.mutable_heartbeat();
  EXPECT_TRUE(absl::IsInvalidArgument(examiner.OnFirst(heartbeat).status()));
  Challenge empty;
  Join join = JoinOf(1, 2);
  TokenCandidate candidate(kToken, NonceOf(1));
  EXPECT_TRUE(absl::IsPermissionDenied(candidate.OnChallenge(empty, &join)));
}

}  // namespace
}  // namespace ringmaster
