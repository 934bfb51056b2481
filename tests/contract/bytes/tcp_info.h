#ifndef RINGMASTER_TESTS_CONTRACT_BYTES_TCP_INFO_H_
#define RINGMASTER_TESTS_CONTRACT_BYTES_TCP_INFO_H_

#include <cstdint>
#include <vector>

namespace ringmaster {

// What the kernel counted on one end of a connection of this process.
struct SocketCount {
  int fd = -1;
  int local_port = 0;
  int64_t sent = 0;  // without retransmissions
  int64_t received = 0;
};

// All connected TCP sockets that this process has open, each once, as /proc/self/fd lists them.
std::vector<SocketCount> CountSockets();

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_BYTES_TCP_INFO_H_
