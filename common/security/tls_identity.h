#ifndef RINGMASTER_COMMON_SECURITY_TLS_IDENTITY_H_
#define RINGMASTER_COMMON_SECURITY_TLS_IDENTITY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/security/certificates.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace ringmaster {

// Who a process is to others by TLS: its certificate and key, and the authority that has signed
// theirs. Connections made of it speak TLS 1.3 and nothing older, show their certificate at both
// ends, and trust that authority alone. Constant; any threads share it.
class TlsIdentity {
 public:
  // InvalidArgument: a text is no certificate or key, the key is another certificate's, or the
  // authority has not signed the certificate. Times are not looked at: whoever is dialled judges
  // them.
  static absl::StatusOr<std::shared_ptr<const TlsIdentity>> Of(const JobCertificates& certificates);

  // That of a folder of certificates, whose status says that they have ended too.
  static absl::StatusOr<std::shared_ptr<const TlsIdentity>> Load(const std::string& folder);

  const JobCertificates& certificates() const { return certificates_; }
  // Owned by this object.
  ssl_ctx_st* context() const { return context_.get(); }

 private:
  struct Free {
    void operator()(ssl_ctx_st* context) const;
  };
  TlsIdentity() = default;

  JobCertificates certificates_;
  std::unique_ptr<ssl_ctx_st, Free> context_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SECURITY_TLS_IDENTITY_H_
