#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_BELL_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_BELL_H_

#include <cstdint>

#include "absl/time/time.h"
#include "common/transport/shm/layout.h"

namespace ringmaster {

// How the threads of a process sleep until another process (or thread) has something for them; see
// the memory order in layout.h. Any thread.

// Wakes all who sleep on the process's bell, after something was published for them. Costs a fence
// when nobody sleeps.
void RingBell(ControlHeader* process);

// A thread that is about to sleep: from here on whoever publishes rings. Look at everything once
// more before Sleep.
class Sleeper {
 public:
  explicit Sleeper(ControlHeader* process);
  ~Sleeper();
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  // Sleeps until the bell has rung since this object was made, or for `limit` (any, infinite too).
  void Sleep(absl::Duration limit);

 private:
  ControlHeader* const process_;
  uint32_t heard_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_BELL_H_
