#ifndef RINGMASTER_COMMON_ENGINE_INTERFACES_H_
#define RINGMASTER_COMMON_ENGINE_INTERFACES_H_

#include <string>

namespace ringmaster {

// The name of the card of this machine that has the address, "eth0", as communication libraries
// take it; empty where none has. `address`: numeric, IPv4 or IPv6. Any thread.
std::string InterfaceOf(const std::string& address);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_INTERFACES_H_
