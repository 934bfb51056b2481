#include "common/transport/introduction.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/transport/frame.h"

namespace ringmaster {
namespace {

constexpr char kHelloMagic[8] = {'R', 'M', 'H', 'E', 'L', 'L', 'O', '2'};
constexpr size_t kAnyHelloBytes = 7;  // of that, which all versions have
constexpr char kChallengeMagic[8] = {'R', 'M', 'C', 'H', 'A', 'L', 'L', '2'};
constexpr char kClaimMagic[8] = {'R', 'M', 'C', 'L', 'A', 'I', 'M', '2'};
constexpr char kVerdictMagic[8] = {'R', 'M', 'A', 'N', 'S', 'W', 'R', '1'};

// All travel as they lie in memory; all fields are naturally aligned, so there is no padding.
struct HelloMessage {
  char magic[8];
  uint32_t version;
  uint32_t zero;
  Nonce nonce;
};
static_assert(sizeof(HelloMessage) == 48);

struct ChallengeMessage {
  char magic[8];
  uint32_t version;
  int32_t process;
  uint64_t terms;
  uint32_t stream_port;
  uint32_t zero;
  Nonce nonce;
  Proof proof;
};
static_assert(sizeof(ChallengeMessage) == 96);

struct ClaimMessage {
  char magic[8];
  uint32_t version;
  int32_t process;
  uint64_t terms;
  Proof proof;
};
static_assert(sizeof(ClaimMessage) == 56);

struct VerdictMessage {
  char magic[8];
  uint32_t version;
  uint32_t verdict;
};
static_assert(sizeof(VerdictMessage) == 16);

template <typename Message>
std::string Bytes(const Message& message) {
  return std::string(reinterpret_cast<const char*>(&message), sizeof(message));
}

template <typename Message>
Message Read(absl::string_view bytes) {
  RM_CHECK(bytes.size() == sizeof(Message));
  Message message;
  std::memcpy(&message, bytes.data(), sizeof(message));
  return message;
}

bool Has(const char (&magic)[8], const char (&expected)[8]) {
  return std::memcmp(magic, expected, sizeof(expected)) == 0;
}

// What a proof is bound to, beside the nonces: who speaks to whom, and what about.
std::string SaidByListener(const ChallengeMessage& challenge) {
  ChallengeMessage said = challenge;
  said.proof = {};
  return Bytes(said);
}
std::string SaidByDialler(const ClaimMessage& claim, int32_t listener) {
  ClaimMessage said = claim;
  said.proof = {};
  return absl::StrCat(Bytes(said), " to ", listener);
}

absl::string_view TextOf(const Proof& proof) {
  return {reinterpret_cast<const char*>(proof.data()), proof.size()};
}

absl::Status Stranger() {
  return absl::UnavailableError("it answers like a stranger; is the endpoint right?");
}

}  // namespace

DiallerIntroduction::DiallerIntroduction(const Introducer& self, int32_t peer, const Nonce& nonce)
    : self_(self), peer_(peer), awaited_(sizeof(VerdictMessage)) {
  exchange_.version = kWireVersion;
  exchange_.opener = nonce;
}

std::string DiallerIntroduction::Opening() const {
  HelloMessage hello = {{}, kWireVersion, 0, exchange_.opener};
  std::memcpy(hello.magic, kHelloMagic, sizeof(kHelloMagic));
  return Bytes(hello);
}

absl::StatusOr<std::string> DiallerIntroduction::Take(absl::string_view message) {
  RM_CHECK(message.size() == awaited_);
  if (!begun_.empty()) {
    const std::string whole = absl::StrCat(begun_, message);
    begun_.clear();
    return TakeChallenge(whole);
  }
  const VerdictMessage verdict = Read<VerdictMessage>(message);
  if (!is_challenged_ && Has(verdict.magic, kChallengeMagic)) {
    if (verdict.version != kWireVersion) return VerdictStatus(JoinVerdict::kWrongVersion);
    begun_ = std::string(message);
    awaited_ = sizeof(ChallengeMessage) - sizeof(VerdictMessage);
    return std::string();
  }
  if (!Has(verdict.magic, kVerdictMagic)) return Stranger();
  const auto said = static_cast<JoinVerdict>(verdict.verdict);
  if (said == JoinVerdict::kWelcome && !is_challenged_) return Stranger();
  if (const absl::Status status = VerdictStatus(said); !status.ok()) return status;
  awaited_ = 0;
  return std::string();
}

absl::StatusOr<std::string> DiallerIntroduction::TakeChallenge(absl::string_view message) {
  const ChallengeMessage challenge = Read<ChallengeMessage>(message);
  exchange_.answerer = challenge.nonce;
  if (!IsProof(TextOf(challenge.proof), self_.token, Prover::kListener, exchange_,
               SaidByListener(challenge)))
    return VerdictStatus(JoinVerdict::kWrongToken);
  // Who is another process than the one that was to be dialled has the same token.
  if (challenge.process != peer_) return Stranger();
  stream_port_ = challenge.stream_port;
  is_challenged_ = true;
  awaited_ = sizeof(VerdictMessage);
  ClaimMessage claim = {{}, kWireVersion, self_.process, self_.terms, {}};
  std::memcpy(claim.magic, kClaimMagic, sizeof(kClaimMagic));
  claim.proof = Prove(self_.token, Prover::kDialler, exchange_, SaidByDialler(claim, peer_));
  return Bytes(claim);
}

ListenerIntroduction::ListenerIntroduction(const Introducer& self, const Nonce& nonce)
    : self_(self), awaited_(sizeof(HelloMessage)) {
  exchange_.version = kWireVersion;
  exchange_.answerer = nonce;
}

bool ListenerIntroduction::MayBegin(absl::string_view bytes) const {
  const absl::string_view expected = is_greeted_
                                         ? absl::string_view(kClaimMagic, sizeof(kClaimMagic))
                                         : absl::string_view(kHelloMagic, kAnyHelloBytes);
  const size_t known = std::min(bytes.size(), expected.size());
  return bytes.substr(0, known) == expected.substr(0, known);
}

ListenerIntroduction::Reply ListenerIntroduction::Take(absl::string_view message,
                                                       int32_t processes) {
  RM_CHECK(message.size() == awaited_);
  Reply reply;
  reply.is_over = true;
  if (!MayBegin(message)) return reply;
  if (!is_greeted_) {
    const HelloMessage hello = Read<HelloMessage>(message);
    if (!Has(hello.magic, kHelloMagic) || hello.version != kWireVersion) {
      awaited_ = 0;
      reply.answer = VerdictBytes(JoinVerdict::kWrongVersion);
      return reply;
    }
    exchange_.opener = hello.nonce;
    ChallengeMessage challenge = {
        {}, kWireVersion, self_.process, self_.terms, self_.stream_port, 0, exchange_.answerer, {}};
    std::memcpy(challenge.magic, kChallengeMagic, sizeof(kChallengeMagic));
    challenge.proof = Prove(self_.token, Prover::kListener, exchange_, SaidByListener(challenge));
    is_greeted_ = true;
    awaited_ = sizeof(ClaimMessage);
    return {Bytes(challenge), std::nullopt, false};
  }
  awaited_ = 0;
  const ClaimMessage claim = Read<ClaimMessage>(message);
  if (!IsProof(TextOf(claim.proof), self_.token, Prover::kDialler, exchange_,
               SaidByDialler(claim, self_.process))) {
    reply.answer = VerdictBytes(JoinVerdict::kWrongToken);
    return reply;
  }
  process_ = claim.process;
  reply.is_over = false;
  reply.verdict = JudgeClaim({claim.terms, claim.process}, self_.terms, self_.process, processes);
  return reply;
}

std::string ListenerIntroduction::VerdictBytes(JoinVerdict verdict) {
  VerdictMessage answer = {{}, kWireVersion, static_cast<uint32_t>(verdict)};
  std::memcpy(answer.magic, kVerdictMagic, sizeof(kVerdictMagic));
  return Bytes(answer);
}

}  // namespace ringmaster
