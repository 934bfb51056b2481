#include "common/transport/tcp/tcp_fabric.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/handshake.h"
#include "common/transport/poll_seat.h"
#include "common/transport/socket.h"
#include "common/transport/tcp/connection.h"

namespace ringmaster {
namespace {

// Additions pass through this much memory, which stays in the second-level cache; more than a turn, so that one read
// takes what the peer wrote in one.
constexpr size_t kScratchBytes = 2 * Connection::kTurnBytes;
constexpr uint64_t kWakeKey = ~uint64_t{0};
// Up to so many connections are looked at by reading them, which is one system call where epoll takes two.
constexpr int32_t kReadUnasked = 4;
// When no thread has polled for this long, the helper does.
constexpr int kPatienceMs = 2;

class TcpFabric : public FabricBase {
 public:
  TcpFabric(const FabricOptions& options, Listener listener)
      : FabricBase(options), listener_(std::move(listener.fd)), endpoint_(std::move(listener.endpoint)),
        spins_(options.wait == "spin") {}

  ~TcpFabric() override {
    if (!helper_.joinable()) return;
    stopping_.store(true);
    const uint64_t one = 1;
    RM_CHECK(write(stop_.get(), &one, sizeof(one)) == sizeof(one));
    helper_.join();
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
    stop_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kWakeKey;
    if (!epoll_.valid() || !wake_.valid() || !stop_.valid() || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
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
    scratch_ = std::make_unique<std::byte[]>(kScratchBytes);
    StartHelper();
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

  absl::StatusOr<int> WaitForAny(Matcher& matcher, absl::Span<const OpId> ops, absl::Time deadline) override {
    const uint64_t seen = matcher.changes();
    absl::StatusOr<int> done = matcher.Poll(ops);
    while (done.ok() && *done < 0) {
      if (seat_.TryTake()) {
        done = Carry(matcher, ops, deadline, seen);
        seat_.Leave();
        return done;
      }
      done = seat_.Sleep(matcher, ops, deadline);
    }
    return done;
  }

 private:
  using Events = std::array<epoll_event, 32>;

  // The seat's holder: carries bytes until one of `ops` is done. `seen`: the matcher's changes that were looked at.
  absl::StatusOr<int> Carry(Matcher& matcher, absl::Span<const OpId> ops, absl::Time deadline, uint64_t seen) {
    const absl::Time begin = absl::Now();
    absl::Time spin_end = spins_ ? begin + kSpin : begin;
    bool was_idle = true;
    for (int looks = 0;;) {
      const uint64_t changes = matcher.changes();
      if (changes != seen) {
        seen = changes;
        const absl::StatusOr<int> done = matcher.Poll(ops);
        if (!done.ok() || *done >= 0) return done;
      }
      if (Look()) {
        was_idle = false;
        continue;
      }
      if (spins_ && ++looks % kLooksPerTime != 0) continue;
      const absl::Time now = absl::Now();
      if (now >= deadline) return matcher.Late(ops, now - begin);
      if (!was_idle && spins_) spin_end = now + kSpin;
      was_idle = true;
      if (now < spin_end) {
        sched_yield();  // ranks may share cores
        continue;
      }
      seen = matcher.changes();
      const absl::StatusOr<int> done = Nap(matcher, ops, deadline - now);
      if (!done.ok() || *done >= 0) return done;
      looks = 0;
    }
  }

  // Sleeps until there is something to do on a socket, which is then done, or for `ops`, or until `limit` is over. -1: none
  // of `ops` was done when it began.
  absl::StatusOr<int> Nap(Matcher& matcher, absl::Span<const OpId> ops, absl::Duration limit) {
    Matcher::Waiter waiter(wake_.get());
    const absl::StatusOr<int> done = matcher.Watch(ops, &waiter);
    if (!done.ok() || *done >= 0) return done;
    // Wakes at least once a minute, so that no clock's range is met.
    const int limit_ms = static_cast<int>(absl::ToInt64Milliseconds(std::min(limit, absl::Minutes(1))) + 1);
    Events events;
    const int count = AwaitEvents(limit_ms, &events);
    matcher.Unwatch(&waiter);
    ServeEvents(absl::MakeSpan(events).first(count));
    return -1;
  }

  // The seat's holder: reads and writes a turn of what can be read and written without waiting; whether there was any.
  bool Look() {
    if (static_cast<int32_t>(connections_.size()) > kReadUnasked + 1) return LookWhereAsked();
    bool any = false;
    for (int32_t process = 0; process < static_cast<int32_t>(connections_.size()); ++process) {
      if (connections_[process] != nullptr && Serve(process)) any = true;
    }
    return any;
  }

  // The same for the connections that epoll names.
  bool LookWhereAsked() {
    Events events;
    const int count = AwaitEvents(0, &events);
    return ServeEvents(absl::MakeSpan(events).first(count));
  }

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
        RM_CHECK(read(wake_.get(), &signals, sizeof(signals)) == sizeof(signals) || errno == EAGAIN);
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
    RM_ASSIGN_OR_RETURN(const bool has_read,
                        connection.Read([&](const FrameHeader& header) { return BeginFrame(process, header); },
                                        absl::MakeSpan(scratch_.get(), kScratchBytes)));
    RM_ASSIGN_OR_RETURN(const bool has_written, connection.Write());
    return has_read || has_written;
  }

  // The helper takes no signals: they are the main thread's to handle.
  void StartHelper() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    helper_ = std::thread([this] { RunHelper(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(helper_.native_handle(), "tcp-helper");
  }

  // Polls when nobody has for a while, so that bytes move while all threads of the process compute. It only looks at the
  // clock while others poll: taking over and giving back cost them nothing.
  void RunHelper() {
    pollfd polled[2] = {{stop_.get(), POLLIN, 0}, {epoll_.get(), POLLIN, 0}};
    uint64_t turns = seat_.turns();
    const auto is_idle = [&] { return !seat_.taken() && seat_.turns() == turns; };
    while (!stopping_.load()) {
      poll(polled, 1, kPatienceMs);
      while (is_idle() && !stopping_.load()) {
        poll(polled, 2, -1);  // in the epoll's stead: whoever begins to wait meanwhile does not find the seat taken
        if (stopping_.load() || !is_idle() || !seat_.TryTake()) break;
        LookWhereAsked();
        turns = seat_.turns();
        seat_.Leave();
      }
      turns = seat_.turns();
    }
  }

  void Break(int32_t process, const absl::Status& status) {
    Abort(Annotate(status, absl::StrCat("tcp: connection to ", Describe(process))));
  }

  Fd listener_;  // until connected
  const std::string endpoint_;
  const bool spins_;
  Fd epoll_;
  Fd wake_;  // of a thread that naps
  Fd stop_;  // of the helper
  std::vector<std::unique_ptr<Connection>> connections_;  // by process, none to itself; constant after Connect
  PollSeat seat_;
  std::unique_ptr<std::byte[]> scratch_;  // of the seat's holder
  std::atomic<bool> stopping_{false};
  std::thread helper_;
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
