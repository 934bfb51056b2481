#ifndef RINGMASTER_COMMON_BASE_SHARED_FUTEX_H_
#define RINGMASTER_COMMON_BASE_SHARED_FUTEX_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace ringmaster {

// A futex in memory that several processes may have mapped. Any thread of any of them.

// Sleeps while `word` is `heard`, for `limit` at most (any, infinite too); may wake without reason,
// and does once a minute, so that no clock's range is met.
void SleepWhile(std::atomic<uint32_t>& word, uint32_t heard, absl::Duration limit);

// Wakes all who sleep on `word`, which the caller has changed.
void WakeSleepers(std::atomic<uint32_t>& word);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_SHARED_FUTEX_H_
