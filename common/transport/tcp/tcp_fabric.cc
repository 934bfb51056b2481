#include "common/transport/tcp/tcp_fabric.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/transport/handshake.h"
#include "common/transport/polling_fabric.h"
#include "common/transport/socket.h"
#include "common/transport/tcp/connection.h"

namespace ringmaster {
namespace {

// Additions pass through this much memory, which stays in the second-level cache; more than a turn,
// so that one read takes what the peer wrote in one.
constexpr size_t kScratchBytes = 2 * Connection::kTurnBytes;
constexpr uint64_t kWakeKey = ~uint64_t{0};
// Up to this many connections are polled by reading them: one system call, where epoll takes two.
constexpr int32_t kReadUnasked = 4;

class TcpFabric : public PollingFabric {
 public:
  TcpFabric(const FabricOptions& options, Listener listener)
      : PollingFabric(options, options.wait == "spin"),
        listener_(std::move(listener.fd)),
        endpoint_(std::move(listener.endpoint)) {}
  TcpFabric(const FabricOptions& options, std::string endpoint, std::vector<Wire> wires)
      : PollingFabric(options, options.wait == "spin"),
        endpoint_(std::move(endpoint)),
        joined_(std::move(wires)) {}

  ~TcpFabric() override { StopPolling(); }

  std::string endpoint() const override { return endpoint_; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    std::vector<Wire> wires = std::move(joined_);
    if (wires.empty()) {
      RM_ASSIGN_OR_RETURN(
          Joined joined,
          JoinProcesses(listener_.get(),
                        {"tcp", options().credentials, options().segment_bytes, processes, self,
                         /*stream_port=*/0, [this] { return aborted(); }},
                        deadline));
      wires = std::move(joined.wires);
    }
    // All who may come have come.
    Fd closed = std::move(listener_);
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kWakeKey;
    if (!epoll_.valid() || !wake_.valid() ||
        epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
      return absl::UnavailableError(
          absl::StrCat("tcp: cannot poll connections: ", ErrorText(errno)));
    }
    connections_.resize(processes.size());
    for (int32_t process = 0; process < static_cast<int32_t>(wires.size()); ++process) {
      if (process == self) continue;
      connections_[process] = std::make_unique<Connection>(std::move(wires[process]), epoll_.get(),
                                                           process, options().segment_bytes);
      RM_RETURN_IF_ERROR(connections_[process]->Register());
    }
    scratch_ = std::make_unique<std::byte[]>(kScratchBytes);
    StartPolling("tcp-helper");
    return Connected();
  }

  int64_t HeaderBytes(int64_t payload_bytes) const override {
    return kFrameHeaderBytes * FrameCount(payload_bytes, options().segment_bytes);
  }

 protected:
  void SendRemote(int32_t process, const OutgoingMessage& message) override {
    const absl::Status status = connections_[process]->Send(message);
    if (!status.ok()) Break(process, status);
  }

  void OnAbort() override {
    for (auto& connection : connections_) {
      if (connection != nullptr) connection->DropSends();
    }
  }

  void OnForget(int32_t process) override {
    connections_[process]->DropSends();
    connections_[process]->Shut();
  }

  // Looks at every connection, or at those that epoll names.
  bool Look() override {
    if (static_cast<int32_t>(connections_.size()) > kReadUnasked + 1) {
      Events events;
      const int count = AwaitEvents(0, &events);
      return ServeEvents(absl::MakeSpan(events).first(count));
    }
    bool any = false;
    for (int32_t process = 0; process < static_cast<int32_t>(connections_.size()); ++process) {
      if (connections_[process] != nullptr && Serve(process)) any = true;
    }
    return any;
  }

  void Nap(absl::Duration limit, absl::FunctionRef<void()> over) override {
    Events events;
    const int count = AwaitEvents(static_cast<int>(absl::ToInt64Milliseconds(limit)) + 1, &events);
    over();
    ServeEvents(absl::MakeSpan(events).first(count));
  }

  void Rouse() override {
    const uint64_t one = 1;
    RM_CHECK(write(wake_.get(), &one, sizeof(one)) == sizeof(one));
  }

 private:
  using Events = std::array<epoll_event, 32>;

  int AwaitEvents(int limit_ms, Events* events) {
    const int count = epoll_wait(epoll_.get(), events->data(), events->size(), limit_ms);
    RM_CHECK(count >= 0 || errno == EINTR);
    return std::max(count, 0);
  }

  bool ServeEvents(absl::Span<const epoll_event> events) {
    bool any = false;
    for (const epoll_event& event : events) {
      if (event.data.u64 == kWakeKey) {
        uint64_t signals = 0;
        RM_CHECK(read(wake_.get(), &signals, sizeof(signals)) == sizeof(signals) ||
                 errno == EAGAIN);
      } else if (Serve(static_cast<int32_t>(event.data.u64))) {
        any = true;
      }
    }
    return any;
  }

  bool Serve(int32_t process) {
    Connection& connection = *connections_[process];
    if (!connection.is_registered()) return false;
    const absl::StatusOr<bool> any = ReadAndWrite(process, connection);
    if (any.ok()) return *any;
    connection.Unregister();
    Break(process, any.status());
    return true;
  }

  absl::StatusOr<bool> ReadAndWrite(int32_t process, Connection& connection) {
    RM_ASSIGN_OR_RETURN(
        const bool has_read,
        connection.Read([&](const FrameHeader& header) { return BeginFrame(process, header); },
                        absl::MakeSpan(scratch_.get(), kScratchBytes)));
    RM_ASSIGN_OR_RETURN(const bool has_written, connection.Write());
    return has_read || has_written;
  }

  void Break(int32_t process, const absl::Status& status) {
    ConnectionEnded(Annotate(status, absl::StrCat("tcp: connection to ", Describe(process))));
  }

  Fd listener_;  // until connected; none where the sockets are given
  const std::string endpoint_;
  std::vector<Wire> joined_;  // by process, until Connect takes them; empty: it connects itself
  Fd epoll_;
  Fd wake_;
  // by process, none to itself; constant after Connect
  std::vector<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<std::byte[]> scratch_;  // of who polls
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> CreateTcpFabric(const FabricOptions& options) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), "tcp");
  return std::make_unique<TcpFabric>(options, *std::move(listener));
}

std::unique_ptr<Fabric> CreateTcpFabricOver(const FabricOptions& options, std::string endpoint,
                                            std::vector<Wire> wires) {
  return std::make_unique<TcpFabric>(options, std::move(endpoint), std::move(wires));
}

}  // namespace ringmaster
