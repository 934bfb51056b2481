#include "common/machine/host_identity.h"

#include <sys/stat.h>

#include <fstream>

#include "absl/strings/str_format.h"
#include "common/base/fingerprint.h"

namespace ringmaster {
namespace {

uint64_t NamespaceAt(const char* path) {
  struct stat status {};
  return stat(path, &status) == 0 ? status.st_ino : 0;
}

std::string HashOf(const std::string& id) {
  return id.empty() ? "" : absl::StrFormat("%016x", Fingerprint64(id));
}

}  // namespace

HostIdentity ReadHostIdentity() {
  HostIdentity identity;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> identity.boot_id;
  identity.network_namespace = NamespaceAt("/proc/self/ns/net");
  identity.pid_namespace = NamespaceAt("/proc/self/ns/pid");
  return identity;
}

std::string ReadBootHash() { return HashOf(ReadHostIdentity().boot_id); }

std::string ReadMachineHash() {
  std::string id;
  for (const char* path : {"/etc/machine-id", "/var/lib/dbus/machine-id"}) {
    if (std::ifstream(path) >> id) break;
  }
  // What a system has that has not been set up.
  return id == "uninitialized" ? "" : HashOf(id);
}

bool ShareLoopback(const HostIdentity& a, const HostIdentity& b) {
  return !a.boot_id.empty() && a.boot_id == b.boot_id && a.network_namespace != 0 &&
         a.network_namespace == b.network_namespace;
}

bool ShareProcessIds(const HostIdentity& a, const HostIdentity& b) {
  return !a.boot_id.empty() && a.boot_id == b.boot_id && a.pid_namespace != 0 &&
         a.pid_namespace == b.pid_namespace;
}

}  // namespace ringmaster
