#include "common/transport/shm/bell.h"

#include "common/base/shared_futex.h"

namespace ringmaster {

void RingBell(ControlHeader* process) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (process->sleepers.load(std::memory_order_relaxed) == 0) return;
  process->bell.fetch_add(1, std::memory_order_release);
  WakeSleepers(process->bell);
}

Sleeper::Sleeper(ControlHeader* process) : process_(process) {
  process_->sleepers.fetch_add(1, std::memory_order_seq_cst);
  heard_ = process_->bell.load(std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

Sleeper::~Sleeper() { process_->sleepers.fetch_sub(1, std::memory_order_relaxed); }

void Sleeper::Sleep(absl::Duration limit) { SleepWhile(process_->bell, heard_, limit); }

}  // namespace ringmaster
