#include "common/transport/tcp/tcp_links.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

// Additions pass through this much memory, which stays in the second-level cache; more than a turn,
// so that one read takes what the peer wrote in one.
constexpr size_t kScratchBytes = 2 * Connection::kTurnBytes;
constexpr uint64_t kWakeKey = ~uint64_t{0};
// Up to this many connections are polled by reading them: one system call, where epoll takes two.
constexpr int32_t kReadUnasked = 4;

}  // namespace

TcpLinks::TcpLinks(int64_t segment_bytes, Home home)
    : segment_bytes_(segment_bytes), home_(std::move(home)) {}

absl::Status TcpLinks::Open(std::vector<Wire> wires) {
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeKey;
  if (!epoll_.valid() || !wake_.valid() ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    return absl::UnavailableError(absl::StrCat("tcp: cannot poll connections: ", ErrorText(errno)));
  }
  connections_.resize(wires.size());
  for (int32_t process = 0; process < static_cast<int32_t>(wires.size()); ++process) {
    if (!wires[process].valid()) continue;
    connections_[process] = std::make_unique<Connection>(std::move(wires[process]), epoll_.get(),
                                                         process, segment_bytes_);
    RM_RETURN_IF_ERROR(connections_[process]->Register());
    ++reached_;
  }
  scratch_ = std::make_unique<std::byte[]>(kScratchBytes);
  return absl::OkStatus();
}

void TcpLinks::Send(int32_t process, const OutgoingMessage& message) {
  const absl::Status status = connections_[process]->Send(message);
  if (!status.ok()) home_.ended(process, status);
}

void TcpLinks::DropSends() {
  for (auto& connection : connections_) {
    if (connection != nullptr) connection->DropSends();
  }
}

void TcpLinks::Forget(int32_t process) {
  connections_[process]->DropSends();
  connections_[process]->Shut();
}

// Looks at every connection, or at those that epoll names.
bool TcpLinks::Look() {
  if (reached_ > kReadUnasked) {
    Events events;
    const int count = Await(absl::ZeroDuration(), &events);
    return Serve(absl::MakeSpan(events).first(count));
  }
  bool any = false;
  for (int32_t process = 0; process < static_cast<int32_t>(connections_.size()); ++process) {
    if (connections_[process] != nullptr && ServeProcess(process)) any = true;
  }
  return any;
}

int TcpLinks::Await(absl::Duration limit, Events* events) const {
  // Rounded up, so that nobody looks again and again before a deadline.
  const int limit_ms =
      limit > absl::ZeroDuration() ? static_cast<int>(absl::ToInt64Milliseconds(limit)) + 1 : 0;
  const int count = epoll_wait(epoll_.get(), events->data(), events->size(), limit_ms);
  RM_CHECK(count >= 0 || errno == EINTR);
  return std::max(count, 0);
}

bool TcpLinks::Serve(absl::Span<const epoll_event> events) {
  bool any = false;
  for (const epoll_event& event : events) {
    if (event.data.u64 == kWakeKey) {
      uint64_t signals = 0;
      RM_CHECK(read(wake_.get(), &signals, sizeof(signals)) == sizeof(signals) || errno == EAGAIN);
    } else if (ServeProcess(static_cast<int32_t>(event.data.u64))) {
      any = true;
    }
  }
  return any;
}

void TcpLinks::Rouse() {
  const uint64_t one = 1;
  RM_CHECK(write(wake_.get(), &one, sizeof(one)) == sizeof(one));
}

bool TcpLinks::ServeProcess(int32_t process) {
  Connection& connection = *connections_[process];
  if (!connection.is_registered()) return false;
  const absl::StatusOr<bool> any = ReadAndWrite(process, connection);
  if (any.ok()) return *any;
  connection.Unregister();
  home_.ended(process, any.status());
  return true;
}

absl::StatusOr<bool> TcpLinks::ReadAndWrite(int32_t process, Connection& connection) {
  RM_ASSIGN_OR_RETURN(
      const bool has_read,
      connection.Read([&](const FrameHeader& header) { return home_.begin(process, header); },
                      absl::MakeSpan(scratch_.get(), kScratchBytes)));
  RM_ASSIGN_OR_RETURN(const bool has_written, connection.Write());
  return has_read || has_written;
}

}  // namespace ringmaster
