#ifndef RINGMASTER_COMMON_MACHINE_MACHINE_H_
#define RINGMASTER_COMMON_MACHINE_MACHINE_H_

#include "proto/record.pb.h"

namespace ringmaster {

// What this machine is: host hash, CPU model, the cores that this process may use (its affinity,
// not the machine's count), memory in bytes and operating system. blas, gpu and kernel_target stay
// empty: whoever holds the kernel library fills them. A fact that the system does not tell stays
// empty or 0. Thread-safe.
Machine DescribeMachine();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_MACHINE_H_
