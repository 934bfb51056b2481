#ifndef RINGMASTER_COMMON_MACHINE_HOST_IDENTITY_H_
#define RINGMASTER_COMMON_MACHINE_HOST_IDENTITY_H_

#include <cstdint>
#include <string>

namespace ringmaster {

// Where a process lives, as the system says it; what it does not say is empty or 0.
struct HostIdentity {
  std::string boot_id;  // of this boot of this machine: no other boot of any machine has it
  uint64_t network_namespace = 0;  // processes with another one do not share loopback
  // processes with another one know each other by other numbers, or not at all
  uint64_t pid_namespace = 0;
};

// This process's.
HostIdentity ReadHostIdentity();

// For records, which name no machine: fingerprints, 16 hexadecimal digits, of the boot's id, and of
// the id that the installed system keeps over a boot. Empty: the system does not say.
std::string ReadBootHash();
std::string ReadMachineHash();

// Whether 127.0.0.1 is the same place for both: one boot and one network namespace, both known.
bool ShareLoopback(const HostIdentity& a, const HostIdentity& b);

// Whether a process id means the same process to both: one boot and one pid namespace, both known.
bool ShareProcessIds(const HostIdentity& a, const HostIdentity& b);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_HOST_IDENTITY_H_
