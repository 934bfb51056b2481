#include "common/control/reach.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/addresses.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kTryAgain = absl::Milliseconds(100);
// How long one address may take to answer before the next is tried.
constexpr absl::Duration kAnswerLimit = absl::Seconds(3);

struct Attempt {
  Fd fd;          // valid: connected
  int error = 0;  // otherwise
};

// A socket that the system has connected with itself, which happens when nobody listens at a port
// of the range that the system takes its own ports from.
bool IsConnectedWithItself(int fd) {
  const auto own = SocketAddress::OfThisEnd(fd);
  const auto other = SocketAddress::OfOtherEnd(fd);
  return own.ok() && other.ok() && own->ToHostPort() == other->ToHostPort();
}

Attempt Connect(const SocketAddress& address, absl::Duration limit) {
  Attempt attempt;
  attempt.fd = Fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = attempt.fd.get();
  if (fd >= 0 && connect(fd, address.get(), address.size()) != 0) attempt.error = errno;
  if (fd < 0) attempt.error = errno;
  if (attempt.error == EINPROGRESS) {
    pollfd writable = {fd, POLLOUT, 0};
    socklen_t size = sizeof(attempt.error);
    if (poll(&writable, 1, static_cast<int>(absl::ToInt64Milliseconds(limit)) + 1) <= 0) {
      attempt.error = ETIMEDOUT;
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &attempt.error, &size) != 0) {
      attempt.error = errno;
    }
  }
  if (attempt.error == 0 && IsConnectedWithItself(fd)) attempt.error = ECONNREFUSED;
  if (attempt.error != 0) attempt.fd = Fd();
  return attempt;
}

// What happened at an address, and what to do.
std::string Explain(int error, const SocketAddress& address, const HostPort& where) {
  const HostPort numeric = address.ToHostPort();
  const bool is_name = !IsNumericAddress(where.host);
  const std::string at =
      is_name ? absl::StrCat(numeric.ToString(), " (\"", where.host, "\")") : numeric.ToString();
  switch (error) {
    case ECONNREFUSED:
      if (is_name && where.host != "localhost" && IsLoopback(numeric.host)) {
        return absl::StrCat("the name \"", where.host, "\" is loopback on this machine (",
                            numeric.host,
                            ", mostly by /etc/hosts), and nobody listens there: the connection is "
                            "refused; where rank 0 is "
                            "on another machine, have the name mean its address in the network; "
                            "else start rank 0, or "
                            "correct the port");
      }
      return absl::StrCat("nobody listens at ", at,
                          ": the connection is refused; start rank 0, which leads the run, within "
                          "limits.join_seconds, or "
                          "correct the port");
    case ETIMEDOUT:
      return absl::StrCat("nothing answers at ", at,
                          ": the machine is off, or a firewall drops what is sent there; correct "
                          "the address, or open the "
                          "port");
    case EHOSTUNREACH:
    case ENETUNREACH:
      return absl::StrCat(at, " cannot be reached from this machine: ", ErrorText(error),
                          "; correct the address, or the route between the machines");
    case EINVAL:
      return absl::StrCat(at, ": a link-local address needs its interface, as in fe80::1%eth0");
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL:
      return absl::StrCat(at, ": this machine has no addresses of that kind (", ErrorText(error),
                          "); give rank 0's other address");
    default:
      return absl::StrCat("cannot connect to ", at, ": ", ErrorText(error));
  }
}

// Which of a round's failures says most: somebody who refuses is nearer than nobody.
int Weight(int error) { return error == ECONNREFUSED ? 2 : error == ETIMEDOUT ? 1 : 0; }

}  // namespace

absl::StatusOr<Fd> ReachCoordinator(const HostPort& where, MonotonicTime deadline) {
  const MonotonicTime begin = MonotonicNow();
  for (;;) {
    std::string cause;
    const auto addresses = Resolve(where);
    if (!addresses.ok()) {
      cause = absl::StrCat(addresses.status().message(),
                           "; correct --coordinator, or this machine's DNS or /etc/hosts");
    } else {
      int weight = -1;
      for (const SocketAddress& address : *addresses) {
        const absl::Duration left = std::max(deadline - MonotonicNow(), absl::ZeroDuration());
        Attempt attempt = Connect(address, std::min(left, kAnswerLimit));
        if (attempt.fd.valid()) {
          SendAtOnce(attempt.fd.get());
          return std::move(attempt.fd);
        }
        if (attempt.error == EMFILE || attempt.error == ENFILE) {
          return absl::ResourceExhaustedError(absl::StrCat("cannot connect to the coordinator at ",
                                                           where.ToString(), ": ",
                                                           ErrorText(attempt.error)));
        }
        if (Weight(attempt.error) <= weight) continue;
        weight = Weight(attempt.error);
        cause = Explain(attempt.error, address, where);
      }
    }
    const absl::Duration left = deadline - MonotonicNow();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "no coordinator at ", where.ToString(), " within ",
          absl::FormatDuration(absl::Trunc(MonotonicNow() - begin, absl::Milliseconds(100))), ": ",
          cause));
    }
    absl::SleepFor(std::min(kTryAgain, left));
  }
}

}  // namespace ringmaster
