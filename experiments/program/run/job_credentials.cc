#include "experiments/program/run/job_credentials.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/security/tls_identity.h"
#include "experiments/program/run/launcher_environment.h"

namespace ringmaster {

absl::StatusOr<JobCredentials> CredentialsFor(absl::string_view security,
                                              const std::string& token) {
  JobCredentials credentials;
  credentials.token = token;
  if (security != "tls") return credentials;
  const std::optional<std::string> folder = ReadEnvironment().tls_folder;
  if (!folder.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("transport.security is \"tls\", and nobody says where the job's certificates "
                     "are: give --tls DIR, or set ",
                     kTlsVariable, "; `ringmaster keygen DIR` makes them"));
  }
  RM_ASSIGN_OR_RETURN(credentials.tls, TlsIdentity::Load(*folder));
  return credentials;
}

absl::Status UseTlsFolder(const std::string& folder) {
  SetTlsFolder(folder);
  return Annotate(CredentialsFor("tls", "").status(), "--tls");
}

}  // namespace ringmaster
