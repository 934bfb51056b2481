#include "common/machine/short_turns.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace ringmaster {
namespace {

// The kernel's struct sched_attr of its first version, for which there is no header beside the C
// library's own.
struct Attributes {
  uint32_t size = sizeof(Attributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0;
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
};

}  // namespace

bool AskForShortTurns(absl::Duration turn) {
  Attributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return false;
  attributes.runtime_ns = static_cast<uint64_t>(absl::ToInt64Nanoseconds(turn));
  return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

}  // namespace ringmaster
