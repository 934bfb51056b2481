// The handshake of the data channel, as bytes: what its ends say, and what they turn away.
#include "common/transport/introduction.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr char kToken[] = "5ecre7-5ecre7-5ecre7";
constexpr int32_t kProcesses = 4;

Nonce NonceOf(uint8_t byte) {
  Nonce nonce;
  nonce.fill(byte);
  return nonce;
}

Introducer Self(int32_t process, const std::string& token = kToken, uint64_t terms = 77) {
  return {token, terms, process, /*stream_port=*/4242};
}

// What was said, in its order, and how it ended.
struct Talk {
  std::vector<std::string> said;  // hello, challenge, claim, verdict
  absl::Status dialler;
  std::optional<JoinVerdict> verdict;
  uint32_t stream_port = 0;
  int32_t process = -1;
};

// `change` may change what is said on the way; it is told which message it is.
Talk Introduce(
    DiallerIntroduction dialler, ListenerIntroduction listener,
    const std::function<void(size_t, std::string*)>& change = [](size_t, std::string*) {}) {
  Talk talk;
  std::string up = dialler.Opening(), down;
  while (true) {
    if (!up.empty()) {
      change(talk.said.size(), &up);
      talk.said.push_back(up);
      if (up.size() != listener.awaited()) return talk;
      const ListenerIntroduction::Reply reply = listener.Take(up, kProcesses);
      down = reply.answer;
      if (reply.verdict.has_value()) {
        talk.verdict = reply.verdict;
        talk.process = listener.process();
        down = ListenerIntroduction::VerdictBytes(*reply.verdict);
      }
      up.clear();
    }
    if (down.empty()) return talk;
    change(talk.said.size(), &down);
    talk.said.push_back(down);
    while (dialler.awaited() > 0 && down.size() >= dialler.awaited()) {
      const std::string part = down.substr(0, dialler.awaited());
      down.erase(0, part.size());
      const absl::StatusOr<std::string> answer = dialler.Take(part);
      talk.dialler = answer.status();
      if (!answer.ok()) return talk;
      up += *answer;
    }
    down.clear();
    talk.stream_port = dialler.stream_port();
    if (up.empty()) return talk;
  }
}

Talk Usual(const Introducer& dials = Self(2), const Introducer& listens = Self(0)) {
  return Introduce(DiallerIntroduction(dials, 0, NonceOf(1)),
                   ListenerIntroduction(listens, NonceOf(2)));
}

TEST(Introduction, BothEndsOfOneRunAreWelcome) {
  const Talk talk = Usual();
  EXPECT_TRUE(talk.dialler.ok()) << talk.dialler;
  EXPECT_EQ(talk.verdict, JoinVerdict::kWelcome);
  EXPECT_EQ(talk.process, 2);
  EXPECT_EQ(talk.stream_port, 4242u);
  EXPECT_EQ(talk.said.size(), 4u);
}

TEST(Introduction, TheTokenIsNeverSaid) {
  for (const std::string& message : Usual().said) {
    for (size_t size = 6; size <= sizeof(kToken) - 1; ++size)
      EXPECT_FALSE(absl::StrContains(message, std::string(kToken, size)));
  }
}

TEST(Introduction, WhoHasAnotherTokenIsRefusedByTheOtherWhicheverEndItIs) {
  const Talk talk = Usual(Self(2), Self(0, "another"));
  EXPECT_TRUE(absl::IsPermissionDenied(talk.dialler)) << talk.dialler;
  EXPECT_EQ(talk.verdict, std::nullopt);
  EXPECT_EQ(talk.said.size(), 2u);  // the dialler says nothing more
  // A dialler that goes on in spite of it.
  ListenerIntroduction listener(Self(0), NonceOf(2));
  listener.Take(DiallerIntroduction(Self(2), 0, NonceOf(1)).Opening(), kProcesses);
  const Talk other = Introduce(DiallerIntroduction(Self(2, "another"), 0, NonceOf(1)),
                               ListenerIntroduction(Self(0, "another"), NonceOf(2)));
  const ListenerIntroduction::Reply reply = listener.Take(other.said[2], kProcesses);
  EXPECT_TRUE(reply.is_over);
  EXPECT_EQ(reply.verdict, std::nullopt);
  EXPECT_EQ(reply.answer, ListenerIntroduction::VerdictBytes(JoinVerdict::kWrongToken));
}

TEST(Introduction, ARecordedHandshakeAdmitsNobodyAgain) {
  const Talk recorded = Usual();
  // To the listener, which has another nonce.
  ListenerIntroduction listener(Self(0), NonceOf(9));
  EXPECT_FALSE(listener.Take(recorded.said[0], kProcesses).is_over);
  const ListenerIntroduction::Reply reply = listener.Take(recorded.said[2], kProcesses);
  EXPECT_TRUE(reply.is_over);
  EXPECT_EQ(reply.verdict, std::nullopt);
  // To the dialler, which has another too.
  DiallerIntroduction dialler(Self(2), 0, NonceOf(9));
  ASSERT_TRUE(dialler.Take(recorded.said[1].substr(0, 16)).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(dialler.Take(recorded.said[1].substr(16)).status()));
  // To another listener of the same run, with the nonce that was used.
  ListenerIntroduction elsewhere(Self(1), NonceOf(2));
  EXPECT_FALSE(elsewhere.Take(recorded.said[0], kProcesses).is_over);
  EXPECT_EQ(elsewhere.Take(recorded.said[2], kProcesses).verdict, std::nullopt);
}

TEST(Introduction, WhatAnEndSaysIsNoProofWhenItIsSentBackToIt) {
  // A listener that has no token answers with what the dialler might take for a proof: its own.
  DiallerIntroduction dialler(Self(2), 0, NonceOf(1));
  ListenerIntroduction mirror(Self(0), NonceOf(1));
  const std::string hello = dialler.Opening();
  std::string challenge = mirror.Take(hello, kProcesses).answer;
  // The same bytes with the claim's proof in the place of the challenge's.
  const Talk talk = Introduce(DiallerIntroduction(Self(2), 0, NonceOf(1)),
                              ListenerIntroduction(Self(0), NonceOf(1)));
  challenge.replace(64, 32, talk.said[2].substr(24, 32));
  ASSERT_TRUE(dialler.Take(challenge.substr(0, 16)).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(dialler.Take(challenge.substr(16)).status()));
  // And a dialler that sends the listener's own proof back.
  ListenerIntroduction listener(Self(0), NonceOf(2));
  const std::string answer = listener.Take(hello, kProcesses).answer;
  std::string claim = Usual().said[2];
  claim.replace(24, 32, answer.substr(64, 32));
  EXPECT_EQ(listener.Take(claim, kProcesses).verdict, std::nullopt);
}

TEST(Introduction, EveryByteIsBound) {
  const Talk whole = Usual();
  for (size_t message = 0; message < 3; ++message) {
    for (size_t place = 0; place < whole.said[message].size(); ++place) {
      const Talk talk = Introduce(DiallerIntroduction(Self(2), 0, NonceOf(1)),
                                  ListenerIntroduction(Self(0), NonceOf(2)),
                                  [&](size_t number, std::string* said) {
                                    if (number == message) (*said)[place] ^= 0x40;
                                  });
      // The hello has four bytes that nobody reads.
      if (message == 0 && place >= 12 && place < 16) continue;
      EXPECT_FALSE(talk.dialler.ok() && talk.verdict == JoinVerdict::kWelcome)
          << "message " << message << " byte " << place;
    }
  }
}

TEST(Introduction, OtherTermsAnotherIndexAndAnotherVersionAreToldToWhoHasTheToken) {
  const Talk terms = Usual(Self(2, kToken, 78));
  EXPECT_EQ(terms.verdict, JoinVerdict::kWrongTerms);
  EXPECT_TRUE(absl::IsFailedPrecondition(terms.dialler)) << terms.dialler;
  for (const int32_t index : {-1, 0, kProcesses, 1 << 30}) {
    const Talk taken = Usual(Self(index));
    EXPECT_EQ(taken.verdict, JoinVerdict::kTaken) << index;
    EXPECT_TRUE(absl::IsFailedPrecondition(taken.dialler)) << taken.dialler;
  }
  // The one that the dialler meant is process 0.
  const Talk other = Usual(Self(2), Self(1));
  EXPECT_FALSE(other.dialler.ok());
  for (const bool older : {false, true}) {
    const Talk version =
        Introduce(DiallerIntroduction(Self(2), 0, NonceOf(1)),
                  ListenerIntroduction(Self(0), NonceOf(2)), [&](size_t number, std::string* said) {
                    if (number == 0) (*said)[older ? 7 : 8] ^= 0x03;
                  });
    EXPECT_TRUE(absl::IsFailedPrecondition(version.dialler)) << version.dialler;
    EXPECT_TRUE(absl::StrContains(version.dialler.message(), "version")) << version.dialler;
    EXPECT_EQ(version.verdict, std::nullopt);
  }
}

TEST(Introduction, StrangersAreKnownByTheirFirstBytes) {
  const ListenerIntroduction listener(Self(0), NonceOf(2));
  EXPECT_TRUE(listener.MayBegin(""));
  EXPECT_TRUE(listener.MayBegin("RMHE"));
  EXPECT_TRUE(listener.MayBegin("RMHELLO1"));
  EXPECT_FALSE(listener.MayBegin("GET "));
  EXPECT_FALSE(listener.MayBegin("RX"));
}

TEST(Introduction, NoiseIsTurnedAway) {
  Random random(5);
  for (int i = 0; i < 2000; ++i) {
    DiallerIntroduction dialler(Self(2), 0, NonceOf(1));
    ListenerIntroduction listener(Self(0), NonceOf(2));
    std::string noise(listener.awaited(), '\0');
    for (char& byte : noise) byte = static_cast<char>(random.Next());
    EXPECT_TRUE(listener.Take(noise, kProcesses).is_over);
    noise.resize(dialler.awaited());
    EXPECT_FALSE(dialler.Take(noise).ok());
  }
}

}  // namespace
}  // namespace ringmaster
