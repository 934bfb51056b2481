#include "common/transport/shm/bell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

namespace ringmaster {
namespace {

// Not FUTEX_PRIVATE: the word is mapped by several processes.
void Futex(std::atomic<uint32_t>* word, int operation, uint32_t value, const timespec* limit) {
  static_assert(sizeof(*word) == sizeof(uint32_t));
  syscall(SYS_futex, word, operation, value, limit, nullptr, 0);
}

}  // namespace

void RingBell(ControlHeader* process) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (process->sleepers.load(std::memory_order_relaxed) == 0) return;
  process->bell.fetch_add(1, std::memory_order_release);
  Futex(&process->bell, FUTEX_WAKE, INT_MAX, nullptr);
}

Sleeper::Sleeper(ControlHeader* process) : process_(process) {
  process_->sleepers.fetch_add(1, std::memory_order_seq_cst);
  heard_ = process_->bell.load(std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

Sleeper::~Sleeper() { process_->sleepers.fetch_sub(1, std::memory_order_relaxed); }

void Sleeper::Sleep(absl::Duration limit) {
  if (limit <= absl::ZeroDuration()) return;
  // Wakes at least once a minute, so that no clock's range is met.
  const timespec bounded = absl::ToTimespec(std::min(limit, absl::Minutes(1)));
  Futex(&process_->bell, FUTEX_WAIT, heard_, &bounded);
}

}  // namespace ringmaster
