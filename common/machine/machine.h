#ifndef RINGMASTER_COMMON_MACHINE_MACHINE_H_
#define RINGMASTER_COMMON_MACHINE_MACHINE_H_

#include "absl/types/span.h"
#include "proto/record.pb.h"

namespace ringmaster {

// What this machine is: hashes of its names, CPU model, the cores that this process may use (its
// affinity and CPU quota, not the machine's count), memory in bytes and its limit, and operating
// system. blas, gpu and kernel_target stay empty: whoever holds the kernel library fills them. A
// fact that the system does not tell stays empty or 0. Thread-safe.
Machine DescribeMachine();

// Puts what the processes of a run could use together (CountCores) in the place of what one of them
// can.
void SetUsableCores(absl::Span<const Confinement> processes, Machine* machine);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_MACHINE_H_
