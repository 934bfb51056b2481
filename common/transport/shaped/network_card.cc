#include "common/transport/shaped/network_card.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/shared_futex.h"
#include "common/transport/shaped/network_now.h"

namespace ringmaster {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr int64_t kAlignment = 64;

int64_t BellBytes(int32_t processes) {
  return CeilDiv(processes * static_cast<int64_t>(sizeof(std::atomic<uint32_t>)), kAlignment) *
         kAlignment;
}

// Not FUTEX_PRIVATE: the word is mapped by several processes. `until`: on CLOCK_MONOTONIC.
void FutexWait(std::atomic<uint32_t>* word, uint32_t value, Nanoseconds until) {
  static_assert(sizeof(*word) == sizeof(uint32_t));
  const timespec time = {until / kNanosecondsPerSecond, until % kNanosecondsPerSecond};
  syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, until == kNever ? nullptr : &time, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

// At the beginning of the segment; bells by process follow, and then the network's state.
struct alignas(64) NetworkCard::Shared {
  pthread_mutex_t mutex;
};

// Holds the network. A process that died while it did leaves it to the next: the run is over then,
// and what matters is that nobody waits for ever.
class NetworkCard::Lock {
 public:
  explicit Lock(Shared* shared) : shared_(shared) {
    const int result = pthread_mutex_lock(&shared_->mutex);
    if (result == EOWNERDEAD) pthread_mutex_consistent(&shared_->mutex);
    RM_CHECK(result == 0 || result == EOWNERDEAD);
  }
  ~Lock() { pthread_mutex_unlock(&shared_->mutex); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Shared* const shared_;
};

int64_t NetworkCard::SegmentBytes(const NetworkPlan& plan) {
  return static_cast<int64_t>(sizeof(Shared)) + BellBytes(plan.processes()) +
         FlowNetwork::StateBytes(plan);
}

void NetworkCard::Initialize(const Segment& segment) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&reinterpret_cast<Shared*>(segment.data())->mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

// The thread takes no signals: they are the main thread's to handle.
NetworkCard::NetworkCard(const NetworkPlan& plan, int32_t self, Segment segment, Listener listener)
    : processes_(plan.processes()),
      self_(self),
      segment_(std::move(segment)),
      listener_(std::move(listener)),
      shared_(reinterpret_cast<Shared*>(segment_.data())),
      network_(plan, absl::MakeSpan(segment_.data(), segment_.size_bytes())
                         .subspan(sizeof(Shared) + BellBytes(plan.processes()))) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "network-card");
}

NetworkCard::~NetworkCard() {
  stopping_.store(true);
  Ring({self_});
  thread_.join();
}

std::atomic<uint32_t>& NetworkCard::bell(int32_t process) const {
  return reinterpret_cast<std::atomic<uint32_t>*>(segment_.data() + sizeof(Shared))[process];
}

absl::Status NetworkCard::Start(int32_t to, const FlowNetwork::Message& message, Nanoseconds now) {
  absl::InlinedVector<int32_t, 8> oversleepers;
  {
    Lock lock(shared_);
    const absl::Status status = network_.Start(self_, to, message, now);
    if (!status.ok()) return status;
    network_.TakeOversleepers([&](int32_t process) { oversleepers.push_back(process); });
  }
  Ring(oversleepers);
  return absl::OkStatus();
}

void NetworkCard::Ring(absl::Span<const int32_t> processes) {
  for (const int32_t process : processes) {
    bell(process).fetch_add(1, std::memory_order_seq_cst);
    WakeSleepers(bell(process));
  }
}

Nanoseconds NetworkCard::Look(uint32_t* heard) {
  oversleepers_.clear();
  Nanoseconds next;
  {
    Lock lock(shared_);
    *heard = bell(self_).load(std::memory_order_seq_cst);
    network_.Advance(NetworkNow());
    network_.TakeNotices(self_, [this](const FlowNetwork::Notice& notice) { due_.push(notice); });
    next = network_.NextNotice(self_);
    if (!due_.empty()) next = std::min(next, due_.top().time);
    network_.SleepUntil(self_, next);
    network_.TakeOversleepers([this](int32_t process) { oversleepers_.push_back(process); });
  }
  Ring(oversleepers_);
  return next;
}

void NetworkCard::Run() {
  prctl(PR_SET_TIMERSLACK, 1);
  while (!stopping_.load()) {
    uint32_t heard = 0;
    const Nanoseconds next = Look(&heard);
    for (const Nanoseconds now = NetworkNow(); !due_.empty() && due_.top().time <= now;
         due_.pop()) {
      listener_(due_.top());
    }
    if (!stopping_.load()) FutexWait(&bell(self_), heard, next);
  }
}

}  // namespace ringmaster
