#include "common/base/shared_futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

namespace ringmaster {

// Not FUTEX_PRIVATE: the word is mapped by several processes.

void SleepWhile(std::atomic<uint32_t>& word, uint32_t heard, absl::Duration limit) {
  static_assert(sizeof(word) == sizeof(uint32_t));
  if (limit <= absl::ZeroDuration()) return;
  const timespec bounded = absl::ToTimespec(std::min(limit, absl::Minutes(1)));
  syscall(SYS_futex, &word, FUTEX_WAIT, heard, &bounded, nullptr, 0);
}

void WakeSleepers(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace ringmaster
