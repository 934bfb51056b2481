#include "experiments/program/cli/process_setup.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include <cstdint>

#include "absl/synchronization/mutex.h"
#include "common/machine/address_space.h"

namespace ringmaster {
namespace {

// Above this limit of address space (ulimit -v) threads may reserve what they like.
constexpr int64_t kAmpleAddressSpace = int64_t{8} << 30;
constexpr size_t kSmallStackBytes = 2 << 20;

// A run of a small model then needs a quarter of the address space.
void SaveAddressSpace() {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, 1 << 20);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  if (pthread_attr_setstacksize(&attributes, kSmallStackBytes) == 0)
    pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
}

}  // namespace

void SetUpMemoryAndLocks() {
  // The system's absl is built to look for deadlocks at every lock, through one lock of the
  // process: over gRPC a quarter of all processor time of 64 ranks. The tests, which set nothing
  // here, run with it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // Freed memory stays with the process: gRPC takes and gives back a buffer for every segment, and
  // the pages of one that went back to the system must be zeroed again before it can be read into.
  // All arms alike. Over gRPC an all-reduce of 1 to 64 MiB takes 1.3 to 1.5 times as long without.
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TOP_PAD, 64 << 20);
  // Every thread reserves 64 MiB for its allocations and 8 MiB for its stack, more than most of
  // them ever touch.
  if (AddressSpaceLimit().value_or(kAmpleAddressSpace) < kAmpleAddressSpace) SaveAddressSpace();
  // gRPC's default has any thread that waits on one of its queues serve every socket of the
  // process, and hand over what it reads to the thread that waits for it: the control plane's
  // threads carry gradients. With "poll" a thread looks at the sockets of its own queue. Over gRPC
  // an all-reduce takes half the time at every size from 4 KiB to 64 MiB. Set before there are
  // threads; a user's own choice stays.
  setenv("GRPC_POLL_STRATEGY", "poll", /*overwrite=*/0);
}

}  // namespace ringmaster
