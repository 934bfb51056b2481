#include "common/transport/handshake.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/transport/fabric_base.h"
#include "common/transport/frame.h"

namespace ringmaster {
namespace {

constexpr char kHelloMagic[8] = {'R', 'M', 'H', 'E', 'L', 'L', 'O', '1'};
constexpr char kAnswerMagic[8] = {'R', 'M', 'A', 'N', 'S', 'W', 'R', '1'};
constexpr size_t kStrangersMax = 64;

// Both travel as they lie in memory; all fields are naturally aligned, so there is no padding.
struct Hello {
  char magic[8];
  uint32_t version;
  int32_t process;
  uint64_t terms;
  char token_digest[64];
};
static_assert(sizeof(Hello) == 88);

struct Answer {
  char magic[8];
  uint32_t version;
  uint32_t verdict;
};
static_assert(sizeof(Answer) == 16);

class Joiner {
 public:
  Joiner(int listener, const Membership& membership)
      : listener_(listener),
        membership_(membership),
        token_digest_(TokenDigest(membership.token)),
        terms_(TermsFingerprint(membership)),
        joined_(membership.processes.size()) {}

  absl::StatusOr<std::vector<Fd>> Run(MonotonicTime deadline) {
    const MonotonicTime begin = MonotonicNow();
    for (int32_t process = 0; process < membership_.self; ++process)
      RM_RETURN_IF_ERROR(Dial(process));
    for (;;) {
      const std::vector<std::string> missing = Missing();
      if (missing.empty()) return std::move(joined_);
      const absl::Duration left = deadline - MonotonicNow();
      if (left <= absl::ZeroDuration()) {
        return absl::DeadlineExceededError(absl::StrCat(
            membership_.transport, ": ", absl::StrJoin(missing, ", "), " not connected within ",
            absl::StrFormat("%.1fs", absl::ToDoubleSeconds(deadline - begin)), ", ", strangers_,
            " connections turned away; ",
            accept_error_ == EMFILE || accept_error_ == ENFILE
                ? absl::StrCat("this process cannot accept connections: ", ErrorText(accept_error_))
                : "check that every process of the run has started and shares its token"));
      }
      RM_RETURN_IF_ERROR(Turn(left));
    }
  }

 private:
  // A connection that this process opened: writes a hello, reads an answer.
  struct Outgoing {
    Fd fd;
    int32_t process;
    size_t written = 0;
    size_t read = 0;
    Answer answer;
  };
  // A connection from somebody: reads a hello.
  struct Incoming {
    Fd fd;
    size_t read = 0;
    Hello hello;
  };

  std::vector<std::string> Missing() const {
    std::vector<std::string> missing;
    for (int32_t process = 0; process < static_cast<int32_t>(joined_.size()); ++process) {
      if (process == membership_.self || joined_[process].valid()) continue;
      missing.push_back(DescribeProcess(membership_.processes, process));
    }
    return missing;
  }

  std::string Peer(int32_t process) const {
    return absl::StrCat(membership_.transport, ": ",
                        DescribeProcess(membership_.processes, process), " at ",
                        membership_.processes[process].endpoint);
  }

  absl::Status Dial(int32_t process) {
    absl::StatusOr<Fd> fd = StartConnecting(membership_.processes[process].endpoint);
    if (!fd.ok()) return Annotate(fd.status(), Peer(process));
    outgoing_.push_back(Outgoing{*std::move(fd), process});
    return absl::OkStatus();
  }

  // Sleeps until something happens or `left` is over, then serves all that is ready.
  absl::Status Turn(absl::Duration left) {
    std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
    for (const Outgoing& peer : outgoing_) {
      polled.push_back(
          {peer.fd.get(), static_cast<short>(peer.written < sizeof(Hello) ? POLLOUT : POLLIN), 0});
    }
    for (const Incoming& peer : incoming_) polled.push_back({peer.fd.get(), POLLIN, 0});
    const int64_t limit_ms = std::min<int64_t>(absl::ToInt64Milliseconds(left), kAbortPollMs) + 1;
    if (poll(polled.data(), polled.size(), static_cast<int>(limit_ms)) <= 0) {
      return membership_.Aborted();
    }
    const size_t outgoing_count = outgoing_.size();
    for (size_t i = 0; i < outgoing_count; ++i) {
      if (polled[1 + i].revents != 0) RM_RETURN_IF_ERROR(Serve(outgoing_[i]));
    }
    const size_t incoming_count = incoming_.size();
    for (size_t i = 0; i < incoming_count; ++i) {
      if (polled[1 + outgoing_count + i].revents != 0) RM_RETURN_IF_ERROR(Serve(incoming_[i]));
    }
    const auto is_over = [](const auto& peer) { return !peer.fd.valid(); };
    outgoing_.erase(std::remove_if(outgoing_.begin(), outgoing_.end(), is_over), outgoing_.end());
    incoming_.erase(std::remove_if(incoming_.begin(), incoming_.end(), is_over), incoming_.end());
    if (polled[0].revents != 0) Accept();
    return absl::OkStatus();
  }

  void Accept() {
    for (;;) {
      Fd fd(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd.valid()) {
        accept_error_ = errno;
        return;
      }
      if (incoming_.size() == kStrangersMax + joined_.size()) {
        incoming_.pop_front();
        ++strangers_;
      }
      incoming_.push_back(Incoming{std::move(fd)});
    }
  }

  absl::Status Serve(Outgoing& peer) {
    if (peer.written < sizeof(Hello)) {
      int error = 0;
      socklen_t size = sizeof(error);
      getsockopt(peer.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      Hello hello = {{}, kWireVersion, membership_.self, terms_, {}};
      std::memcpy(hello.magic, kHelloMagic, sizeof(kHelloMagic));
      std::memcpy(hello.token_digest, token_digest_.data(), sizeof(hello.token_digest));
      const ssize_t count =
          error != 0 ? -1
                     : send(peer.fd.get(), reinterpret_cast<const char*>(&hello) + peer.written,
                            sizeof(hello) - peer.written, MSG_NOSIGNAL);
      if (error == 0 && count < 0) error = errno;
      if (count >= 0) peer.written += count;
      if (count >= 0 || error == EAGAIN || error == EINTR) return absl::OkStatus();
      return absl::UnavailableError(absl::StrCat(
          Peer(peer.process), ": cannot connect: ", ErrorText(error),
          error == ECONNREFUSED
              ? "; has it ended?"
              : "; can this machine reach that address? transport.listen_address of that process "
                "chooses it"));
    }
    const ssize_t count = recv(peer.fd.get(), reinterpret_cast<char*>(&peer.answer) + peer.read,
                               sizeof(Answer) - peer.read, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
    if (count <= 0) {
      return absl::UnavailableError(
          absl::StrCat(Peer(peer.process), " closed the connection before it answered"));
    }
    peer.read += count;
    if (peer.read < sizeof(Answer)) return absl::OkStatus();
    if (std::memcmp(peer.answer.magic, kAnswerMagic, sizeof(kAnswerMagic)) != 0) {
      return absl::UnavailableError(
          absl::StrCat(Peer(peer.process), " answered like a stranger; is the endpoint right?"));
    }
    RM_RETURN_IF_ERROR(
        VerdictStatus(static_cast<JoinVerdict>(peer.answer.verdict), Peer(peer.process)));
    SendUnpacedWithinHost(peer.fd.get());
    joined_[peer.process] = std::move(peer.fd);
    return absl::OkStatus();
  }

  absl::Status Serve(Incoming& peer) {
    const ssize_t count = recv(peer.fd.get(), reinterpret_cast<char*>(&peer.hello) + peer.read,
                               sizeof(Hello) - peer.read, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
    if (count > 0) peer.read += count;
    const size_t known = std::min(peer.read, sizeof(kHelloMagic));
    if (count <= 0 || std::memcmp(peer.hello.magic, kHelloMagic, known) != 0) {
      ++strangers_;
      Fd closed = std::move(peer.fd);
      return absl::OkStatus();
    }
    if (peer.read < sizeof(Hello)) return absl::OkStatus();
    return Judge(peer);
  }

  absl::Status Judge(Incoming& peer) {
    const Hello& hello = peer.hello;
    const JoinRequest request = {hello.version,
                                 absl::string_view(hello.token_digest, sizeof(hello.token_digest)),
                                 hello.terms, hello.process};
    JoinVerdict verdict = JudgeRequest(request, token_digest_, terms_, membership_);
    if (verdict == JoinVerdict::kWelcome && joined_[hello.process].valid())
      verdict = JoinVerdict::kTaken;
    Answer answer = {{}, kWireVersion, static_cast<uint32_t>(verdict)};
    std::memcpy(answer.magic, kAnswerMagic, sizeof(kAnswerMagic));
    // A fresh connection has room for sixteen bytes; one that has none is broken.
    const bool answered =
        send(peer.fd.get(), &answer, sizeof(answer), MSG_NOSIGNAL) == sizeof(answer);
    Fd fd = std::move(peer.fd);
    if (!answered || verdict == JoinVerdict::kWrongToken || verdict == JoinVerdict::kTaken) {
      ++strangers_;
      return absl::OkStatus();
    }
    if (verdict != JoinVerdict::kWelcome)
      return VerdictStatus(verdict,
                           absl::StrCat(membership_.transport, ": process ", hello.process));
    SendAtOnce(fd.get());
    SendUnpacedWithinHost(fd.get());
    joined_[hello.process] = std::move(fd);
    return absl::OkStatus();
  }

  const int listener_;
  const Membership& membership_;
  const std::string token_digest_;
  const uint64_t terms_;
  std::vector<Fd> joined_;
  std::vector<Outgoing> outgoing_;
  std::deque<Incoming> incoming_;
  int64_t strangers_ = 0;
  int accept_error_ = 0;  // of the last attempt to accept, EAGAIN where nobody waits
};

}  // namespace

absl::StatusOr<std::vector<Fd>> JoinProcesses(int listener, const Membership& membership,
                                              MonotonicTime deadline) {
  return Joiner(listener, membership).Run(deadline);
}

}  // namespace ringmaster
