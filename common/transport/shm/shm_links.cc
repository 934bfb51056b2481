#include "common/transport/shm/shm_links.h"

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
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

// A send that has waited this long for a peer that posts nothing asks the peer's helper to keep the
// message.
constexpr absl::Duration kPatience = absl::Milliseconds(20);
// Of shorter waits nobody asks, and they pay for no report.
constexpr absl::Duration kShownAfter = absl::Milliseconds(100);

constexpr absl::Duration kSpin = FabricBase::kSpin;
constexpr int kLooksPerTime = FabricBase::kLooksPerTime;

}  // namespace

ShmLinks::~ShmLinks() { Close(); }

absl::Status ShmLinks::Open(std::vector<Wire> wires, const Membership& membership,
                            MonotonicTime deadline) {
  wires_ = std::move(wires);
  // Who could read what is said from here on could read the memory that it is about.
  for (Wire& wire : wires_) wire.tls.reset();
  const auto processes = static_cast<int32_t>(wires_.size());
  RM_RETURN_IF_ERROR(CreateMemory(processes));
  RM_ASSIGN_OR_RETURN(memories_, ShareMemory(absl::MakeSpan(wires_), membership,
                                             {&control_, own()->nonce}, deadline));
  control_.Seal();
  wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) {
    return absl::UnavailableError(absl::StrCat("shm: no event descriptor: ", ErrorText(errno)));
  }
  links_.resize(processes);
  for (int32_t process = 0; process < processes; ++process) {
    if (wires_[process].valid()) links_[process] = MakeLink(process);
  }
  StartHelper();
  return absl::OkStatus();
}

void ShmLinks::Close() {
  if (!helper_.joinable()) return;
  stopping_.store(true);
  const uint64_t one = 1;
  RM_CHECK(write(wake_.get(), &one, sizeof(one)) == sizeof(one));
  helper_.join();
}

void ShmLinks::DropSends() {
  for (const auto& link : links_) {
    if (link != nullptr) link->DropSends();
  }
}

absl::StatusOr<Buffer> ShmLinks::AllocateExchange(int64_t size_bytes) {
  RM_CHECK(exchange_ != nullptr);
  return exchange_->Allocate(size_bytes);
}

absl::StatusOr<int> ShmLinks::Wait(Matcher& matcher, absl::Span<const OpId> ops,
                                   MonotonicTime deadline) {
  own()->waiters.fetch_add(1, std::memory_order_relaxed);
  const absl::StatusOr<int> result = Carry(matcher, ops, deadline);
  own()->waiters.fetch_sub(1, std::memory_order_seq_cst);
  // From here on a peer that makes room calls the helper; one that made it before is heard here.
  for (int32_t process = 0; process < static_cast<int32_t>(links_.size()); ++process) {
    if (links_[process] != nullptr) Check(process, links_[process]->Flush());
  }
  return result;
}

// Memory that is all zero is an empty control block.
absl::Status ShmLinks::CreateMemory(int64_t processes) {
  absl::StatusOr<Segment> control = Segment::Create("ringmaster-control", ControlBytes(processes));
  if (!control.ok()) return Annotate(control.status(), "shm");
  control_ = *std::move(control);
  if (getrandom(&own()->nonce, sizeof(own()->nonce), 0) != sizeof(own()->nonce)) {
    return absl::UnavailableError(absl::StrCat("shm: no random numbers: ", ErrorText(errno)));
  }
  exchange_ = ExchangeHeap::Create(absl::MakeSpan(own()->exchange));
  return absl::OkStatus();
}

std::unique_ptr<Link> ShmLinks::MakeLink(int32_t process) {
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
      ends, [this, process](NodeId from, NodeId to) { return home_.recipient(process, from, to); });
}

// A round over all peers: takes what has arrived and sends what is held back. True when there was
// anything.
bool ShmLinks::Advance() {
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
absl::StatusOr<int> ShmLinks::Carry(Matcher& matcher, absl::Span<const OpId> ops,
                                    MonotonicTime deadline) {
  absl::StatusOr<int> done = matcher.Poll(ops);
  if (!done.ok() || *done >= 0) return done;
  const MonotonicTime begin = MonotonicNow();
  MonotonicTime ask_at = begin + kPatience;
  std::optional<Sleeper> sleeper;
  std::optional<Matcher::ShownWait> shown;  // of a wait that lasts
  for (int looks = 0;;) {
    bool any = Advance();
    if (!any && home_.look_elsewhere && !sleeper.has_value() && looks % kLooksPerTime == 0)
      any = home_.look_elsewhere();
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
    sleeper->Sleep(SleepLimit(matcher, ops, now,
                              shown.has_value() ? deadline : std::min(deadline, show_at), &ask_at));
    sleeper.reset();
    looks = 0;
  }
}

// How long to sleep at most. A wait for a send asks the peers' helpers now and then, in case nobody
// there waits.
absl::Duration ShmLinks::SleepLimit(Matcher& matcher, absl::Span<const OpId> ops, MonotonicTime now,
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
void ShmLinks::StartHelper() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  helper_ = std::thread([this] { RunHelper(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(helper_.native_handle(), "shm-helper");
}

// Sleeps on the sockets: a byte is a call for help, their end is the peer's.
void ShmLinks::RunHelper() {
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

}  // namespace ringmaster
