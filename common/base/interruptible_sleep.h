#ifndef RINGMASTER_COMMON_BASE_INTERRUPTIBLE_SLEEP_H_
#define RINGMASTER_COMMON_BASE_INTERRUPTIBLE_SLEEP_H_

#include <chrono>
#include <functional>

#include "absl/status/status.h"

namespace ringmaster {

// Sleeps until `end`, or until `interrupted` returns an error, which is then returned. It is asked
// about every 50 ms, never when `end` is past already; an empty function interrupts nothing. The
// calling thread sleeps; `interrupted` is called on it.
absl::Status SleepUntil(std::chrono::steady_clock::time_point end,
                        const std::function<absl::Status()>& interrupted);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_INTERRUPTIBLE_SLEEP_H_
