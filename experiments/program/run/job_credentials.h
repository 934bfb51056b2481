#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOB_CREDENTIALS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOB_CREDENTIALS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/security/credentials.h"

namespace ringmaster {

// What a process of a job shows to the others: `token`, and where `security` is "tls"
// (transport.security of the resolved spec) the certificate in the folder that --tls or
// RINGMASTER_TLS_DIR names. InvalidArgument: nobody names one. Errors as TlsIdentity::Load.
absl::StatusOr<JobCredentials> CredentialsFor(absl::string_view security, const std::string& token);

// A flag names the folder of certificates: CredentialsFor looks there from here on, in this process
// and in those that it starts. While there is one thread. Errors as TlsIdentity::Load: they cannot
// be used.
absl::Status UseTlsFolder(const std::string& folder);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_JOB_CREDENTIALS_H_
