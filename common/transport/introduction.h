#ifndef RINGMASTER_COMMON_TRANSPORT_INTRODUCTION_H_
#define RINGMASTER_COMMON_TRANSPORT_INTRODUCTION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/security/challenge.h"
#include "common/transport/membership.h"

namespace ringmaster {

// The handshake of the data channel, as bytes alone: each end is asked how many it awaits next, is
// given exactly those, and says what to send. The dialler says hello with a nonce; the listener
// answers with its own and proves the job's token; the dialler proves it, with its index and the
// terms; the listener gives a verdict. A listener of another version answers with a verdict at
// once: the first 16 bytes of a hello and all of a verdict stay as they are in all versions.
// Pure. Not thread-safe.

// What one end brings to it.
struct Introducer {
  std::string token;
  uint64_t terms = 0;        // TermsFingerprint
  int32_t process = 0;       // its index
  uint32_t stream_port = 0;  // where the listener takes streams of the library that carries them;
                             // 0: at this very connection
};

class DiallerIntroduction {
 public:
  // With process `peer`, who listens. `nonce` is fresh.
  DiallerIntroduction(const Introducer& self, int32_t peer, const Nonce& nonce);

  // What to send first.
  std::string Opening() const;

  // How many bytes the listener says next; 0: it has given its verdict, and this process is
  // welcome.
  size_t awaited() const { return awaited_; }

  // Takes `awaited()` bytes; returns what to send. PermissionDenied: the listener does not prove
  // the token. FailedPrecondition: it has another version, or refuses this process. Unavailable: it
  // says what no listener of ours does.
  absl::StatusOr<std::string> Take(absl::string_view message);

  // Of the listener, once it is over.
  uint32_t stream_port() const { return stream_port_; }

 private:
  absl::StatusOr<std::string> TakeChallenge(absl::string_view message);

  Introducer self_;
  int32_t peer_;
  Exchange exchange_;
  std::string begun_;  // of a message whose kind is known by its first bytes
  bool is_challenged_ = false;
  uint32_t stream_port_ = 0;
  size_t awaited_ = 0;
};

class ListenerIntroduction {
 public:
  // `nonce` is fresh.
  ListenerIntroduction(const Introducer& self, const Nonce& nonce);

  // How many bytes the dialler says next; 0: nothing more is to be heard.
  size_t awaited() const { return awaited_; }

  // Whether what a dialler of any version says may begin so.
  bool MayBegin(absl::string_view bytes) const;

  struct Reply {
    std::string answer;  // to be sent
    // Set: the dialler has proved the token, and this is what becomes of it. The answer with the
    // verdict is VerdictBytes'.
    std::optional<JoinVerdict> verdict;
    bool is_over = false;  // without a verdict: it is a stranger, or has another version
  };
  // Takes `awaited()` bytes. `processes`: of the run.
  Reply Take(absl::string_view message, int32_t processes);

  static std::string VerdictBytes(JoinVerdict verdict);

  // Who dialled. REQUIRES: it has proved the token.
  int32_t process() const { return process_; }

 private:
  Introducer self_;
  Exchange exchange_;
  int32_t process_ = -1;
  bool is_greeted_ = false;
  size_t awaited_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_INTRODUCTION_H_
