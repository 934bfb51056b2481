#ifndef RINGMASTER_COMMON_SECURITY_CREDENTIALS_H_
#define RINGMASTER_COMMON_SECURITY_CREDENTIALS_H_

#include <memory>
#include <string>

namespace ringmaster {

class TlsIdentity;

// What shows that a process belongs to a job.
struct JobCredentials {
  std::string token;  // shared by all processes of the job, and by nobody else
  // shared by all connections of the process; null: they speak in clear
  std::shared_ptr<const TlsIdentity> tls;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SECURITY_CREDENTIALS_H_
