#ifndef RINGMASTER_COMMON_CONFIG_VALIDATE_SECURITY_H_
#define RINGMASTER_COMMON_CONFIG_VALIDATE_SECURITY_H_

#include <string>

#include "absl/strings/string_view.h"
#include "common/base/problems.h"

namespace ringmaster {

// What of a spec says who may reach its processes.
struct SecuritySpec {
  std::string security;        // transport.security; empty: "token"
  std::string listen_address;  // transport.listen_address
  absl::string_view engine;    // that sums; empty: none
};

// What is wrong with it. Returns whether this host alone reaches the address.
bool CheckSecurity(const SecuritySpec& spec, Problems* problems);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_VALIDATE_SECURITY_H_
