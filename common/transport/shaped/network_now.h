#ifndef RINGMASTER_COMMON_TRANSPORT_SHAPED_NETWORK_NOW_H_
#define RINGMASTER_COMMON_TRANSPORT_SHAPED_NETWORK_NOW_H_

#include <ctime>

#include "common/network/flow_network.h"

namespace ringmaster {

// By CLOCK_MONOTONIC, which all processes of a host share.
inline Nanoseconds NetworkNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * Nanoseconds{1'000'000'000} + now.tv_nsec;
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHAPED_NETWORK_NOW_H_
