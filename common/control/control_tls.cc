#include "common/control/control_tls.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/security/tls_stream.h"

namespace ringmaster {
namespace {

constexpr char kHttp2[] = "h2";

// False: nothing has happened until the deadline.
bool AwaitSocket(int fd, short events, MonotonicTime deadline) {
  pollfd polled = {fd, events, 0};
  for (;;) {
    const absl::Duration left = std::max(deadline - MonotonicNow(), absl::ZeroDuration());
    const int count = poll(
        &polled, 1, static_cast<int>(absl::ToInt64Milliseconds(std::min(left, absl::Hours(1)))));
    if (count > 0) return true;
    if (count == 0 && MonotonicNow() >= deadline) return false;
  }
}

}  // namespace

absl::Status TryTls(std::shared_ptr<const TlsIdentity> identity, Fd socket, const std::string& host,
                    MonotonicTime deadline) {
  const auto stream = TlsStream::Dial(std::move(identity), socket.get(), host, kHttp2);
  const absl::Status silent = absl::DeadlineExceededError(
      "whoever listens there takes the connection and does not answer by TLS");
  for (;;) {
    RM_ASSIGN_OR_RETURN(const TlsStream::Awaits awaits, stream->Handshake());
    if (awaits == TlsStream::Awaits::kNothing) break;
    const short events = awaits == TlsStream::Awaits::kInput ? POLLIN : POLLOUT;
    if (!AwaitSocket(socket.get(), events, deadline)) return silent;
  }
  // The other end has judged this one's certificate when it says its first word, which HTTP/2 has
  // it say unasked, or refuses.
  for (;;) {
    char word = 0;
    const iovec piece = {&word, 1};
    const ssize_t count = stream->Read({&piece, 1});
    if (count > 0) return absl::OkStatus();
    if (count == 0)
      return absl::UnavailableError("the other end closed the connection after the handshake");
    if (errno != EAGAIN) {
      const int error = errno;
      const absl::Status why = stream->why();
      return why.ok() ? absl::UnavailableError(ErrorText(error)) : why;
    }
    if (!AwaitSocket(socket.get(), POLLIN, deadline)) return silent;
  }
}

}  // namespace ringmaster
