#include "common/transport/shm/shm_fabric.h"

#include <immintrin.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/transport/fabric_base.h"
#include "common/transport/handshake.h"
#include "common/transport/shm/bell.h"
#include "common/transport/shm/exchange_heap.h"
#include "common/transport/shm/layout.h"
#include "common/transport/shm/link.h"
#include "common/transport/shm/meeting.h"
#include "common/transport/shm/one_host.h"

namespace ringmaster {
namespace {

// A send that has waited this long for a peer that posts nothing asks the peer's helper to keep the
// message.
constexpr absl::Duration kPatience = absl::Milliseconds(20);
// Of shorter waits nobody asks, and they pay for no report.
constexpr absl::Duration kShownAfter = absl::Milliseconds(100);

class ShmFabric : public FabricBase {
 public:
  ShmFabric(const FabricOptions& options, Listener listener)
      : FabricBase(options),
        listener_(std::move(listener.fd)),
        endpoint_(std::move(listener.endpoint)),
        spins_(options.wait == "spin") {}
  ShmFabric(const FabricOptions& options, std::string endpoint, std::vector<Wire> wires)
      : FabricBase(options),
        endpoint_(std::move(endpoint)),
        spins_(options.wait == "spin"),
        wires_(std::move(wires)) {}

  ~ShmFabric() override {
    if (!helper_.joinable()) return;
    stopping_.store(true);
    const uint64_t one = 1;
    RM_CHECK(write(wake_.get(), &one, sizeof(one)) == sizeof(one));
    helper_.join();
  }

  std::string endpoint() const override { return endpoint_; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    const Membership membership = {"shm",
                                   {options().credentials.token, /*tls=*/nullptr},
                                   options().segment_bytes,
                                   processes,
                                   self,
                                   /*stream_port=*/0,
                                   [this] { return aborted(); }};
    if (wires_.empty()) RM_RETURN_IF_ERROR(JoinOneHost(membership, deadline));
    // Who could read what is said from here on could read the memory that it is about.
    for (Wire& wire : wires_) wire.tls.reset();
    RM_RETURN_IF_ERROR(CreateMemory(processes.size()));
    RM_ASSIGN_OR_RETURN(memories_, ShareMemory(absl::MakeSpan(wires_), membership,
                                               {&control_, own()->nonce}, deadline));
    control_.Seal();
    wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_.valid()) {
      return absl::UnavailableError(absl::StrCat("shm: no event descriptor: ", ErrorText(errno)));
    }
    links_.resize(processes.size());
    for (int32_t process = 0; process < static_cast<int32_t>(processes.size()); ++process) {
      if (process != self) links_[process] = MakeLink(process);
    }
    StartHelper();
    return Connected();
  }

  // One descriptor a message. What the pool needs beside it depends on where the payload lies, and
  // is not counted.
  int64_t HeaderBytes(int64_t payload_bytes) const override { return sizeof(Descriptor); }

  absl::StatusOr<Buffer> AllocateExchange(int64_t size_bytes) override {
    RM_CHECK(exchange_ != nullptr);
    return exchange_->Allocate(size_bytes);
  }

 protected:
  void SendRemote(int32_t process, const OutgoingMessage& message) override {
    Check(process, links_[process]->Send(message));
  }

  void OnPost(int32_t process, NodeId from, NodeId to, const Tag& tag) override {
    Check(process, links_[process]->OnPost(from, to, tag));
  }

  void ReturnLoan(int32_t process, const Loan& loan) override { links_[process]->Return(loan); }

  void OnChange() override { RingBell(own()); }

  void OnAbort() override {
    for (const auto& link : links_) {
      if (link != nullptr) link->DropSends();
    }
  }

  // Its memory stays mapped: what it has lent is read until it is returned.
  void OnForget(int32_t process) override { links_[process]->DropSends(); }

  absl::StatusOr<int> WaitForAny(Matcher& matcher, absl::Span<const OpId> ops,
                                 MonotonicTime deadline) override {
    own()->waiters.fetch_add(1, std::memory_order_relaxed);
    const absl::StatusOr<int> result = Carry(matcher, ops, deadline);
    own()->waiters.fetch_sub(1, std::memory_order_seq_cst);
    // From here on a peer that makes room calls the helper; one that made it before is heard here.
    for (int32_t process = 0; process < static_cast<int32_t>(links_.size()); ++process) {
      if (links_[process] != nullptr) Check(process, links_[process]->Flush());
    }
    return result;
  }

 private:
  absl::Status JoinOneHost(const Membership& membership, MonotonicTime deadline) {
    RM_ASSIGN_OR_RETURN(Joined joined, JoinProcesses(listener_.get(), membership, deadline));
    wires_ = std::move(joined.wires);
    // All who may come have come.
    Fd closed = std::move(listener_);
    const absl::Status proved = ProveOneHost(absl::MakeSpan(wires_), membership, deadline);
    if (!absl::IsFailedPrecondition(proved)) return proved;
    return absl::FailedPreconditionError(
        absl::StrCat("transport \"shm\": ", proved.message(),
                     "; use transport \"tcp\", or \"auto\", which finds out"));
  }

  ControlHeader* own() const { return reinterpret_cast<ControlHeader*>(control_.data()); }

  // Memory that is all zero is an empty control block.
  absl::Status CreateMemory(int64_t processes) {
    absl::StatusOr<Segment> control =
        Segment::Create("ringmaster-control", ControlBytes(processes));
    if (!control.ok()) return Annotate(control.status(), "shm");
    control_ = *std::move(control);
    if (getrandom(&own()->nonce, sizeof(own()->nonce), 0) != sizeof(own()->nonce)) {
      return absl::UnavailableError(absl::StrCat("shm: no random numbers: ", ErrorText(errno)));
    }
    exchange_ = ExchangeHeap::Create(absl::MakeSpan(own()->exchange));
    return absl::OkStatus();
  }

  std::unique_ptr<Link> MakeLink(int32_t process) {
    const PeerMemory& memory = memories_[process];
    Link::Ends ends;
    ends.own = own();
    ends.out = reinterpret_cast<Lane*>(control_.data() + LaneOffset(process));
    ends.peer = reinterpret_cast<ControlHeader*>(memory.header.data());
    ends.in = reinterpret_cast<Lane*>(memory.lane.data());
    ends.exchange = exchange_.get();
    ends.peer_pid = memory.pid;
    ends.socket = wires_[process].fd.get();
    return std::make_unique<Link>(
        ends, [this, process](NodeId from, NodeId to) { return Recipient(process, from, to); });
  }

  // A round over all peers: takes what has arrived and sends what is held back. True when there
  // was anything.
  bool Advance() {
    bool any = false;
    for (int32_t process = 0; process < static_cast<int32_t>(links_.size()); ++process) {
      if (links_[process] == nullptr) continue;
      const absl::StatusOr<bool> advanced = links_[process]->Advance();
      Check(process, advanced.status());
      any |= advanced.ok() && *advanced;
    }
    return any;
  }

  // Carries bytes until one of `ops` is done.
  absl::StatusOr<int> Carry(Matcher& matcher, absl::Span<const OpId> ops, MonotonicTime deadline) {
    absl::StatusOr<int> done = matcher.Poll(ops);
    if (!done.ok() || *done >= 0) return done;
    const MonotonicTime begin = MonotonicNow();
    MonotonicTime ask_at = begin + kPatience;
    std::optional<Sleeper> sleeper;
    std::optional<Matcher::ShownWait> shown;  // of a wait that lasts
    for (int looks = 0;;) {
      const bool any = Advance();
      if (any || sleeper.has_value() || looks % kLooksPerTime == 0) {
        done = matcher.Poll(ops);
        if (!done.ok() || *done >= 0) return done;
        if (any) continue;
      }
      if (spins_ && !sleeper.has_value() && ++looks % kLooksPerTime != 0) {
        _mm_pause();
        continue;
      }
      const MonotonicTime now = MonotonicNow();
      if (now >= deadline) return matcher.Late(ops, now - begin);
      if (spins_ && now < begin + kSpin) {
        sched_yield();  // ranks may share cores
        continue;
      }
      if (!sleeper.has_value()) {
        sleeper.emplace(own());  // and looks once more
        continue;
      }
      const MonotonicTime show_at = begin + kShownAfter;
      if (!shown.has_value() && now >= show_at) shown.emplace(matcher, ops);
      sleeper->Sleep(SleepLimit(
          matcher, ops, now, shown.has_value() ? deadline : std::min(deadline, show_at), &ask_at));
      sleeper.reset();
      looks = 0;
    }
  }

  // How long to sleep at most. A wait for a send asks the peers' helpers now and then, in case
  // nobody there waits.
  absl::Duration SleepLimit(Matcher& matcher, absl::Span<const OpId> ops, MonotonicTime now,
                            MonotonicTime deadline, MonotonicTime* ask_at) {
    if (!matcher.AwaitsSend(ops)) return deadline - now;
    if (now >= *ask_at) {
      for (const auto& link : links_) {
        if (link != nullptr) link->AskToTake();
      }
      *ask_at = now + kPatience;
    }
    return std::min(deadline, *ask_at) - now;
  }

  // The helper takes no signals: they are the main thread's to handle.
  void StartHelper() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    helper_ = std::thread([this] { RunHelper(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(helper_.native_handle(), "shm-helper");
  }

  // Sleeps on the sockets: a byte is a call for help, their end is the peer's.
  void RunHelper() {
    std::vector<pollfd> polled;
    for (const Wire& wire : wires_) polled.push_back({wire.fd.get(), POLLIN, 0});
    polled.push_back({wake_.get(), POLLIN, 0});
    while (!stopping_.load()) {
      const int count = poll(polled.data(), polled.size(), -1);
      RM_CHECK(count >= 0 || errno == EINTR);
      for (int32_t process = 0; process < static_cast<int32_t>(wires_.size()) && !stopping_.load();
           ++process) {
        if (polled[process].fd < 0 || polled[process].revents == 0) continue;
        char calls[64];
        const ssize_t got = recv(polled[process].fd, calls, sizeof(calls), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        absl::Status status =
            absl::UnavailableError("it closed the connection: it has ended or failed");
        if (got > 0) status = links_[process]->Help();
        if (!status.ok()) polled[process].fd = -1;
        Check(process, status);
      }
    }
  }

  // A link that failed ends the run for this process.
  void Check(int32_t process, const absl::Status& status) {
    if (!status.ok())
      ConnectionEnded(Annotate(status, absl::StrCat("shm: connection to ", Describe(process))));
  }

  Fd listener_;  // until connected; none where the sockets are given
  const std::string endpoint_;
  const bool spins_;
  // Constant after Connect, by process.
  std::vector<Wire> wires_;  // in clear
  Segment control_;
  std::shared_ptr<ExchangeHeap> exchange_;  // its buffers may outlive the fabric
  std::vector<PeerMemory> memories_;
  std::vector<std::unique_ptr<Link>> links_;
  Fd wake_;
  std::atomic<bool> stopping_{false};
  std::thread helper_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> CreateShmFabric(const FabricOptions& options) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), "shm");
  return std::make_unique<ShmFabric>(options, *std::move(listener));
}

std::unique_ptr<Fabric> CreateShmFabricOver(const FabricOptions& options, std::string endpoint,
                                            std::vector<Wire> wires) {
  return std::make_unique<ShmFabric>(options, std::move(endpoint), std::move(wires));
}

}  // namespace ringmaster
