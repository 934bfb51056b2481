#include "common/control/reception.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/addresses.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/log/log.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kLookAgain = absl::Milliseconds(250);
// After a connection could not be accepted: what was used up may come free.
constexpr int kPauseMs = 100;
constexpr char kWhenTaken[] = "choose another with --coordinator, or end who holds it";

std::string Hosts(const std::vector<SocketAddress>& addresses) {
  std::vector<std::string> hosts;
  for (const SocketAddress& address : addresses) hosts.push_back(address.ToHostPort().host);
  return absl::StrJoin(hosts, ", ");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Reception>> Reception::Open(const HostPort& where,
                                                           MonotonicTime deadline) {
  std::unique_ptr<Reception> reception(new Reception);
  const MonotonicTime begin = MonotonicNow();
  for (bool first = true;; first = false) {
    const absl::Status listens = reception->Listen(where);
    // NotFound and OutOfRange: the name may come to mean an address of this machine.
    if (listens.ok()) break;
    if (!absl::IsNotFound(listens) && !absl::IsOutOfRange(listens)) return listens;
    if (where.host.empty() || IsNumericAddress(where.host))
      return absl::UnavailableError(listens.message());
    if (MonotonicNow() >= deadline) {
      return absl::UnavailableError(
          absl::StrCat(listens.message(), ", for ",
                       absl::FormatDuration(absl::Trunc(MonotonicNow() - begin, kLookAgain)),
                       " (limits.join_seconds); correct --coordinator, the machine's DNS or "
                       "/etc/hosts, or have rank 0 listen at every address: --coordinator "
                       "0.0.0.0:PORT for rank 0 alone"));
    }
    if (first)
      Log(LogLevel::kWarning,
          absl::StrCat(listens.message(), "; looks again until limits.join_seconds are over"));
    absl::SleepFor(std::min(kLookAgain, deadline - MonotonicNow()));
  }
  reception->wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!reception->wake_.valid()) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen at ", where.ToString(), ": ", ErrorText(errno)));
  }
  return reception;
}

absl::Status Reception::Listen(const HostPort& where) {
  RM_ASSIGN_OR_RETURN(const std::vector<SocketAddress> addresses, Resolve(where));
  const bool anywhere = IsWildcard(where.host);
  const bool is_name = !anywhere && !IsNumericAddress(where.host);
  std::vector<SocketAddress> own;
  for (const SocketAddress& address : addresses) {
    if (IsOfThisMachine(address)) own.push_back(address);
  }
  if (own.empty() && !is_name) own = addresses;  // which fails, and says why
  if (own.empty()) {
    return absl::OutOfRangeError(absl::StrCat("the name \"", where.host, "\" is ", Hosts(addresses),
                                              ", no address of this "
                                              "machine, which has ",
                                              absl::StrJoin(OwnAddresses(), ", ")));
  }
  // One socket at :: takes IPv4 too, and a port that the system chooses is one address's.
  if (anywhere || where.port == 0) own.erase(own.begin() + 1, own.end());
  std::vector<std::string> endpoints;
  std::vector<Fd> listeners;
  for (const SocketAddress& address : own) {
    if (std::count(endpoints.begin(), endpoints.end(), address.ToHostPort().ToString()) > 0)
      continue;
    RM_ASSIGN_OR_RETURN(Listener listener, ListenAt(address, kWhenTaken));
    endpoints.push_back(listener.endpoint);
    listeners.push_back(std::move(listener.fd));
  }
  RM_ASSIGN_OR_RETURN(endpoint_, HostPort::Parse(endpoints.front()));
  if (anywhere) endpoint_.host = LoopbackFor(where.host);
  const bool loopback = std::all_of(own.begin(), own.end(), [](const SocketAddress& address) {
    return IsLoopback(address.ToHostPort().host);
  });
  if (is_name && loopback && where.host != "localhost") {
    only_loopback_ = absl::StrCat(
        "the name \"", where.host, "\" is loopback on rank 0's machine (", Hosts(own),
        ", mostly by /etc/hosts), which other machines cannot reach: give rank 0 its address "
        "in the network instead");
  }
  listeners_ = std::move(listeners);
  return absl::OkStatus();
}

void Reception::Start(std::function<void(Fd)> take) {
  take_ = std::move(take);
  thread_ = std::thread([this] { Run(); });
}

void Reception::Close() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof(one)) == sizeof(one)) thread_.join();
  listeners_.clear();
}

std::string Reception::ReachedAt(const std::string& wildcard) const {
  absl::MutexLock lock(&mutex_);
  if (!reached_v4_.empty()) return reached_v4_;
  const bool takes_v6 = LoopbackFor(wildcard) == "::1";
  return takes_v6 && !reached_v6_.empty() ? reached_v6_ : LoopbackFor(wildcard);
}

std::string Reception::Hindrance() const {
  absl::MutexLock lock(&mutex_);
  if (refused_.empty()) return only_loopback_;
  return absl::StrCat("rank 0 cannot accept connections: ", refused_);
}

void Reception::Run() {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}};
  for (const Fd& listener : listeners_) polled.push_back({listener.get(), POLLIN, 0});
  for (;;) {
    poll(polled.data(), polled.size(), -1);
    bool fails = false;
    for (size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents != 0 && !AcceptAll(polled[i].fd)) fails = true;
    }
    // A connection that cannot be accepted stays ready: only the end is waited for meanwhile.
    if (fails) poll(polled.data(), 1, kPauseMs);
    if (polled[0].revents != 0) return;
  }
}

void Reception::NoteReached(const std::string& host) {
  if (IsLoopback(host)) return;
  absl::MutexLock lock(&mutex_);
  std::string& reached = absl::StrContains(host, ':') ? reached_v6_ : reached_v4_;
  if (reached.empty()) reached = host;
}

// Takes all who wait. False: somebody waits who cannot be taken.
bool Reception::AcceptAll(int listener) {
  for (;;) {
    Fd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    const int error = errno;
    const bool is_short =
        !fd.valid() && (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM);
    if (fd.valid() || is_short) {
      absl::MutexLock lock(&mutex_);
      refused_ = is_short ? ErrorText(error) : "";
    }
    if (!fd.valid()) return !is_short;
    if (const auto own = SocketAddress::OfThisEnd(fd.get()); own.ok())
      NoteReached(own->ToHostPort().host);
    SendAtOnce(fd.get());
    take_(std::move(fd));
  }
}

}  // namespace ringmaster
