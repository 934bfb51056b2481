#include "common/config/validate_security.h"

#include "absl/strings/str_cat.h"
#include "common/base/host_port.h"
#include "common/engine/engine_names.h"

namespace ringmaster {

bool CheckSecurity(const SecuritySpec& spec, Problems* problems) {
  constexpr char kField[] = "transport.security";
  const bool is_tls = spec.security == "tls";
  const bool is_insecure = spec.security == "insecure";
  if (!is_tls && !is_insecure && !spec.security.empty() && spec.security != "token") {
    problems->AddName(kField, spec.security, "expected \"token\", \"tls\" or \"insecure\"");
  }
  const bool within_host = EngineGpusOf(spec.engine) == EngineGpus::kOneForAll;
  if (is_tls && !spec.engine.empty() && !within_host) {
    problems->AddName(kField, spec.security,
                      absl::StrCat("collective \"", spec.engine,
                                   "\" has connections of its own, which speak in clear; use "
                                   "collective \"ring\", or --insecure where nobody else reaches "
                                   "the network"));
  }
  const std::string address = WithoutBrackets(spec.listen_address);
  if (!IsNumericAddress(address)) {
    problems->AddName("transport.listen_address", spec.listen_address,
                      "expected a numeric address without a port, for example 127.0.0.1 or ::1");
    return false;
  }
  const bool loopback = IsLoopback(address);
  if (!loopback && !is_tls && !is_insecure) {
    problems->AddName("transport.listen_address", spec.listen_address,
                      "other machines can reach it; use 127.0.0.1, or --tls DIR with certificates "
                      "of `ringmaster keygen DIR`, or --insecure");
  }
  return loopback;
}

}  // namespace ringmaster
