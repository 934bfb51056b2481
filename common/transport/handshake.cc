#include "common/transport/handshake.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/transport/fabric_base.h"
#include "common/transport/introduction.h"
#include "common/transport/socket.h"

namespace ringmaster {
namespace {

constexpr size_t kStrangersMax = 64;

// One end of a connection that is being introduced.
template <typename Introduction>
struct Talk {
  Talk(Wire connection, Introduction talk)
      : wire(std::move(connection)), introduction(std::move(talk)) {}

  Wire wire;
  Introduction introduction;
  bool is_connected = false;
  bool is_secured = false;  // TLS has shaken hands, or there is none
  TlsStream::Awaits awaits = TlsStream::Awaits::kNothing;
  std::string heard;  // of the message that is awaited

  // What the socket is polled for.
  short events() const {
    if (!is_connected) return POLLOUT;
    return !is_secured && awaits == TlsStream::Awaits::kOutput ? POLLOUT | POLLIN : POLLIN;
  }

  // Goes on with TLS; whether it is over.
  absl::StatusOr<bool> Secure() {
    if (is_secured) return true;
    if (wire.tls != nullptr) {
      RM_ASSIGN_OR_RETURN(awaits, wire.tls->Handshake());
    }
    is_secured = awaits == TlsStream::Awaits::kNothing;
    return is_secured;
  }

  // Reads on; the message once it is whole. Unavailable: the other end has closed. TlsStream's
  // errors.
  absl::StatusOr<std::optional<std::string>> Listen() {
    std::array<char, 128> bytes;
    const size_t missing = introduction.awaited() - heard.size();
    const ssize_t count = wire.Read(bytes.data(), std::min(missing, bytes.size()));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<std::string>();
    if (count < 0 && wire.tls != nullptr && !wire.tls->why().ok()) return wire.tls->why();
    if (count <= 0) return absl::UnavailableError("it closed the connection before it answered");
    heard.append(bytes.data(), static_cast<size_t>(count));
    if (heard.size() < introduction.awaited()) return std::optional<std::string>();
    return std::optional<std::string>(std::exchange(heard, std::string()));
  }

  // A fresh connection has room for a message of the handshake; one that has none is broken.
  bool Say(const std::string& message) {
    return wire.Write(message.data(), message.size()) == static_cast<ssize_t>(message.size());
  }
};

class Joiner {
 public:
  Joiner(int listener, const Membership& membership)
      : listener_(listener),
        membership_(membership),
        self_{membership.credentials.token, TermsFingerprint(membership), membership.self,
              membership.stream_port} {
    joined_.wires.resize(membership.processes.size());
    joined_.stream_ports.resize(membership.processes.size());
  }

  absl::StatusOr<Joined> Run(MonotonicTime deadline) {
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
            " connections turned away",
            fault_.empty() ? "" : absl::StrCat(", the last because ", fault_), "; ", Advice()));
      }
      RM_RETURN_IF_ERROR(Turn(left));
    }
  }

 private:
  // A connection that this process opened.
  struct Outgoing : Talk<DiallerIntroduction> {
    Outgoing(Wire wire, DiallerIntroduction talk, int32_t to)
        : Talk(std::move(wire), std::move(talk)), process(to) {}
    int32_t process;
    bool has_spoken = false;
  };
  // A connection from somebody.
  struct Incoming : Talk<ListenerIntroduction> {
    Incoming(Wire wire, ListenerIntroduction talk)
        : Talk(std::move(wire), std::move(talk)), since(MonotonicNow()) {
      is_connected = true;
    }
    MonotonicTime since;
  };

  std::string Advice() const {
    return accept_error_ == EMFILE || accept_error_ == ENFILE
               ? absl::StrCat("this process cannot accept connections: ", ErrorText(accept_error_))
               : "check that every process of the run has started and shares its token";
  }

  std::vector<std::string> Missing() const {
    std::vector<std::string> missing;
    for (int32_t process = 0; process < static_cast<int32_t>(joined_.wires.size()); ++process) {
      if (process == membership_.self || joined_.wires[process].valid()) continue;
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
    const std::string& endpoint = membership_.processes[process].endpoint;
    absl::StatusOr<Fd> fd = StartConnecting(endpoint);
    if (!fd.ok()) return Annotate(fd.status(), Peer(process));
    Wire wire(*std::move(fd));
    if (membership_.credentials.tls != nullptr) {
      RM_ASSIGN_OR_RETURN(const HostPort dialled, HostPort::Parse(endpoint));
      wire.tls = TlsStream::Dial(membership_.credentials.tls, wire.fd.get(), dialled.host);
    }
    outgoing_.emplace_back(std::move(wire), DiallerIntroduction(self_, process, FreshNonce()),
                           process);
    return absl::OkStatus();
  }

  // Sleeps until something happens or `left` is over, then serves all that is ready.
  absl::Status Turn(absl::Duration left) {
    std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
    for (const Outgoing& peer : outgoing_) polled.push_back({peer.wire.fd.get(), peer.events(), 0});
    for (const Incoming& peer : incoming_) polled.push_back({peer.wire.fd.get(), peer.events(), 0});
    const int64_t limit_ms = std::min<int64_t>(absl::ToInt64Milliseconds(left), kAbortPollMs) + 1;
    if (poll(polled.data(), polled.size(), static_cast<int>(limit_ms)) <= 0) {
      CloseSilent();
      return membership_.Aborted();
    }
    const size_t outgoing_count = outgoing_.size();
    for (size_t i = 0; i < outgoing_count; ++i) {
      if (polled[1 + i].revents == 0) continue;
      RM_RETURN_IF_ERROR(Annotate(Serve(outgoing_[i]), Peer(outgoing_[i].process)));
    }
    const size_t incoming_count = incoming_.size();
    for (size_t i = 0; i < incoming_count; ++i) {
      if (polled[1 + outgoing_count + i].revents != 0) RM_RETURN_IF_ERROR(Serve(incoming_[i]));
    }
    const auto is_over = [](const auto& peer) { return !peer.wire.valid(); };
    outgoing_.erase(std::remove_if(outgoing_.begin(), outgoing_.end(), is_over), outgoing_.end());
    incoming_.erase(std::remove_if(incoming_.begin(), incoming_.end(), is_over), incoming_.end());
    CloseSilent();
    if (polled[0].revents != 0) Accept();
    return absl::OkStatus();
  }

  // Ends the connections that have been there for long and have proved nothing.
  void CloseSilent() {
    const MonotonicTime now = MonotonicNow();
    while (!incoming_.empty() && now - incoming_.front().since > membership_.introduction_limit) {
      TurnAway("it said nothing");
      incoming_.pop_front();
    }
  }

  void TurnAway(const std::string& why) {
    ++strangers_;
    fault_ = why;
  }

  void Accept() {
    for (;;) {
      Fd fd(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd.valid()) {
        accept_error_ = errno;
        return;
      }
      if (incoming_.size() == kStrangersMax + joined_.wires.size()) {
        incoming_.pop_front();
        TurnAway("it said nothing while others came");
      }
      Wire wire(std::move(fd));
      if (membership_.credentials.tls != nullptr)
        wire.tls = TlsStream::Answer(membership_.credentials.tls, wire.fd.get());
      incoming_.emplace_back(std::move(wire), ListenerIntroduction(self_, FreshNonce()));
    }
  }

  absl::Status CannotConnect(int error) const {
    return absl::UnavailableError(absl::StrCat(
        "cannot connect: ", ErrorText(error),
        error == ECONNREFUSED
            ? "; has it ended?"
            : "; can this machine reach that address? transport.listen_address of that process "
              "chooses it"));
  }

  absl::Status Serve(Outgoing& peer) {
    if (!peer.is_connected) {
      int error = 0;
      socklen_t size = sizeof(error);
      getsockopt(peer.wire.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return CannotConnect(error);
      peer.is_connected = true;
    }
    RM_ASSIGN_OR_RETURN(const bool secured, peer.Secure());
    if (!secured) return absl::OkStatus();
    if (!std::exchange(peer.has_spoken, true)) {
      return peer.Say(peer.introduction.Opening()) ? absl::OkStatus() : CannotConnect(errno);
    }
    // What TLS holds already the socket does not announce: all that is there is heard.
    while (peer.introduction.awaited() > 0) {
      RM_ASSIGN_OR_RETURN(const std::optional<std::string> message, peer.Listen());
      if (!message.has_value()) return absl::OkStatus();
      RM_ASSIGN_OR_RETURN(const std::string answer, peer.introduction.Take(*message));
      if (!answer.empty() && !peer.Say(answer))
        return absl::UnavailableError("it closed the connection before it answered");
    }
    SendUnpacedWithinHost(peer.wire.fd.get());
    joined_.stream_ports[peer.process] = peer.introduction.stream_port();
    joined_.wires[peer.process] = std::move(peer.wire);
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<std::string>> Hear(Incoming& peer) {
    RM_ASSIGN_OR_RETURN(const bool secured, peer.Secure());
    if (!secured) return std::optional<std::string>();
    return peer.Listen();
  }

  absl::Status Serve(Incoming& peer) {
    const absl::StatusOr<std::optional<std::string>> message = Hear(peer);
    const bool fits =
        message.ok() && peer.introduction.MayBegin(message->has_value() ? **message : peer.heard);
    if (!fits) {
      TurnAway(message.ok() ? "it said what no process of ours does"
                            : std::string(message.status().message()));
      const Wire closed = std::move(peer.wire);
      return absl::OkStatus();
    }
    if (!message->has_value()) return absl::OkStatus();
    ListenerIntroduction::Reply reply =
        peer.introduction.Take(**message, static_cast<int32_t>(joined_.wires.size()));
    if (reply.verdict.has_value()) return Decide(*reply.verdict, peer);
    const bool said = peer.Say(reply.answer);
    if (!said || reply.is_over) {
      TurnAway("it does not have the token, or another version");
      const Wire closed = std::move(peer.wire);
    }
    return absl::OkStatus();
  }

  // The dialler has proved the token.
  absl::Status Decide(JoinVerdict verdict, Incoming& peer) {
    const int32_t process = peer.introduction.process();
    if (verdict == JoinVerdict::kWelcome && joined_.wires[process].valid())
      verdict = JoinVerdict::kTaken;
    const bool answered = peer.Say(ListenerIntroduction::VerdictBytes(verdict));
    Wire wire = std::move(peer.wire);
    if (!answered || verdict == JoinVerdict::kTaken) {
      TurnAway("its index is taken");
      return absl::OkStatus();
    }
    if (verdict != JoinVerdict::kWelcome)
      return Annotate(VerdictStatus(verdict),
                      absl::StrCat(membership_.transport, ": process ", process));
    SendAtOnce(wire.fd.get());
    SendUnpacedWithinHost(wire.fd.get());
    joined_.wires[process] = std::move(wire);
    return absl::OkStatus();
  }

  const int listener_;
  const Membership& membership_;
  const Introducer self_;
  Joined joined_;
  std::vector<Outgoing> outgoing_;
  std::deque<Incoming> incoming_;  // in the order in which they came
  int64_t strangers_ = 0;
  std::string fault_;     // of the last of them
  int accept_error_ = 0;  // of the last attempt to accept, EAGAIN where nobody waits
};

}  // namespace

absl::StatusOr<Joined> JoinProcesses(int listener, const Membership& membership,
                                     MonotonicTime deadline) {
  return Joiner(listener, membership).Run(deadline);
}

}  // namespace ringmaster
