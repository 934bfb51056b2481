#include "common/transport/tcp/tcp_fabric.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/handshake.h"
#include "common/transport/socket.h"
#include "common/transport/tcp/connection.h"

namespace ringmaster {
namespace {

// Additions pass through this much memory, which stays in the second-level cache.
constexpr size_t kScratchBytes = 256 << 10;
constexpr uint64_t kWakeKey = ~uint64_t{0};

class TcpFabric : public FabricBase {
 public:
  TcpFabric(const FabricOptions& options, Listener listener)
      : FabricBase(options), listener_(std::move(listener.fd)), endpoint_(std::move(listener.endpoint)) {}

  ~TcpFabric() override {
    if (!io_thread_.joinable()) return;
    stopping_.store(true);
    const uint64_t one = 1;
    RM_CHECK(write(wake_.get(), &one, sizeof(one)) == sizeof(one));
    io_thread_.join();
  }

  std::string endpoint() const override { return endpoint_; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self, absl::Time deadline) override {
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    RM_ASSIGN_OR_RETURN(
        std::vector<Fd> sockets,
        JoinProcesses(listener_.get(), {"tcp", options().token, options().segment_bytes, processes, self}, deadline));
    // All who may come have come.
    Fd closed = std::move(listener_);
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kWakeKey;
    if (!epoll_.valid() || !wake_.valid() || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
      return absl::UnavailableError(absl::StrCat("tcp: cannot poll connections: ", std::strerror(errno),
                                                 "; check the limit of open files (ulimit -n)"));
    }
    connections_.resize(processes.size());
    for (int32_t process = 0; process < static_cast<int32_t>(sockets.size()); ++process) {
      if (process == self) continue;
      connections_[process] =
          std::make_unique<Connection>(std::move(sockets[process]), epoll_.get(), process, options().segment_bytes);
      RM_RETURN_IF_ERROR(connections_[process]->Register());
    }
    StartThread();
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

 private:
  // The I/O thread takes no signals: they are the main thread's to handle.
  void StartThread() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    io_thread_ = std::thread([this] { Run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(io_thread_.native_handle(), "tcp-io");
  }

  void Run() {
    const auto scratch = std::make_unique<std::byte[]>(kScratchBytes);
    epoll_event events[32];
    while (!stopping_.load()) {
      const int count = epoll_wait(epoll_.get(), events, 32, -1);
      RM_CHECK(count >= 0 || errno == EINTR);
      for (int i = 0; i < count && !stopping_.load(); ++i) {
        if (events[i].data.u64 == kWakeKey) continue;
        const int32_t process = static_cast<int32_t>(events[i].data.u64);
        const absl::Status status = Serve(process, events[i].events, absl::MakeSpan(scratch.get(), kScratchBytes));
        if (status.ok()) continue;
        connections_[process]->Unregister();
        Break(process, status);
      }
    }
  }

  absl::Status Serve(int32_t process, uint32_t events, absl::Span<std::byte> scratch) {
    Connection& connection = *connections_[process];
    if ((events & EPOLLOUT) != 0) RM_RETURN_IF_ERROR(connection.Write());
    if ((events & ~EPOLLOUT) == 0) return absl::OkStatus();
    return connection.Read([&](const FrameHeader& header) { return BeginFrame(process, header); }, scratch);
  }

  void Break(int32_t process, const absl::Status& status) {
    Abort(Annotate(status, absl::StrCat("tcp: connection to ", Describe(process))));
  }

  Fd listener_;  // until connected
  const std::string endpoint_;
  Fd epoll_;
  Fd wake_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by process, none to itself; constant after Connect
  std::atomic<bool> stopping_{false};
  std::thread io_thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> CreateTcpFabric(const FabricOptions& options) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), "tcp");
  return CreateTcpFabricAt(options, *std::move(listener));
}

std::unique_ptr<Fabric> CreateTcpFabricAt(const FabricOptions& options, Listener listener) {
  return std::make_unique<TcpFabric>(options, std::move(listener));
}

}  // namespace ringmaster
