// What strangers say where the processes of a run introduce themselves: the data channel's
// messages.

#include <algorithm>

#include "common/base/check.h"
#include "common/transport/introduction.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {
namespace {

constexpr int32_t kProcesses = 4;

Introducer Self(int32_t process) {
  return {"the token of the fuzzer", /*terms=*/77, process, /*stream_port=*/4242};
}

Nonce NonceOf(uint8_t byte) {
  Nonce nonce;
  nonce.fill(byte);
  return nonce;
}

DiallerIntroduction Dialler() { return DiallerIntroduction(Self(2), 0, NonceOf(1)); }
ListenerIntroduction Listener() { return ListenerIntroduction(Self(0), NonceOf(2)); }

// What an end of a run would say to the other, whose nonces never change here.
struct Recorded {
  std::string up, down;
};
Recorded Record() {
  DiallerIntroduction dialler = Dialler();
  ListenerIntroduction listener = Listener();
  Recorded recorded;
  recorded.up = dialler.Opening();
  recorded.down = listener.Take(recorded.up, kProcesses).answer;
  RM_CHECK(dialler.Take(recorded.down.substr(0, 16)).ok());
  const absl::StatusOr<std::string> claim = dialler.Take(recorded.down.substr(16));
  RM_CHECK(claim.ok());
  recorded.up += *claim;
  recorded.down += ListenerIntroduction::VerdictBytes(JoinVerdict::kWelcome);
  return recorded;
}

}  // namespace

// The first byte says whom the rest is said to.
std::vector<std::string> Seeds() {
  const Recorded recorded = Record();
  return {"L" + recorded.up, "D" + recorded.down};
}

bool TryInput(absl::string_view input) {
  if (input.empty() || (input.front() != 'L' && input.front() != 'D')) return false;
  const bool to_listener = input.front() == 'L';
  const Recorded recorded = Record();
  const std::string right = (to_listener ? "L" + recorded.up : "D" + recorded.down);
  absl::string_view rest = input.substr(1);
  DiallerIntroduction dialler = Dialler();
  ListenerIntroduction listener = Listener();
  bool is_welcome = false;
  for (;;) {
    const size_t awaited = to_listener ? listener.awaited() : dialler.awaited();
    RM_CHECK(awaited <= 128);
    if (to_listener) listener.MayBegin(rest.substr(0, std::min(rest.size(), awaited)));
    if (awaited == 0 || rest.size() < awaited) break;
    const absl::string_view message = rest.substr(0, awaited);
    rest.remove_prefix(awaited);
    if (to_listener) {
      const ListenerIntroduction::Reply reply = listener.Take(message, kProcesses);
      is_welcome = reply.verdict == JoinVerdict::kWelcome;
      if (reply.is_over) break;
    } else {
      if (!dialler.Take(message).ok()) break;
      is_welcome = dialler.awaited() == 0;
    }
  }
  // Who is welcome has said what who has the token says, but for what nobody reads: four bytes of
  // a hello, and the version of a verdict.
  if (is_welcome) {
    std::string said(input.substr(0, right.size()));
    said.replace(to_listener ? 13 : 1 + 96 + 8, 4, right, to_listener ? 13 : 1 + 96 + 8, 4);
    RM_CHECK(said == right);
  }
  return is_welcome;
}

}  // namespace ringmaster
