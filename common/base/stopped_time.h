#ifndef RINGMASTER_COMMON_BASE_STOPPED_TIME_H_
#define RINGMASTER_COMMON_BASE_STOPPED_TIME_H_

#include "absl/time/time.h"

namespace ringmaster {

// Says that this process is not stopped (Ctrl-Z, SIGSTOP). In a process with a thread that does so
// every kAwakePeriod for as long as it lives, MonotonicNow (common/base/monotonic.h) stands still
// while it is stopped, so that no limit runs out meanwhile: a longer gap than kAwakeGapMax is left
// out. The thread's own waits must be the system's (sigtimedwait, poll): a deadline by MonotonicNow
// that begins within a stop ends only after the next call, which would never be made.
constexpr absl::Duration kAwakePeriod = absl::Milliseconds(100);
constexpr absl::Duration kAwakeGapMax = absl::Milliseconds(300);
void NoteAwake();

// How long this process has been stopped so far; zero where nobody calls NoteAwake. Any thread.
absl::Duration StoppedTime();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_STOPPED_TIME_H_
