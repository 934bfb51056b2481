#ifndef RINGMASTER_COMMON_SECURITY_CERTIFICATES_H_
#define RINGMASTER_COMMON_SECURITY_CERTIFICATES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ringmaster {

// A job's certificates, as PEM texts. All of its processes have the same.
struct JobCertificates {
  std::string authority;    // the certificate of the job's own authority
  std::string certificate;  // signed by it, for servers and clients
  std::string key;          // of `certificate`: secret
};

struct CertificateOptions {
  // Names and numeric addresses at which processes are dialled, beside localhost, 127.0.0.1 and
  // ::1, which are always named.
  std::vector<std::string> hosts;
  // From now on; negative: they have ended already.
  absl::Duration validity = absl::Hours(24 * 30);
};

// Names of the files in a folder of certificates.
inline constexpr char kAuthorityFile[] = "ca.pem";
inline constexpr char kCertificateFile[] = "certificate.pem";
inline constexpr char kKeyFile[] = "key.pem";

// Makes an authority and one certificate that it signs, with keys on P-256. The authority's own key
// is forgotten: nobody can have it sign another. They are valid from an hour before now, for
// clocks that differ. InvalidArgument: a host that is neither a name nor an address.
absl::StatusOr<JobCertificates> MakeCertificates(const CertificateOptions& options);

// Writes the three files into `folder`, which appears with all of them or not at all; it is 0700
// and the files are 0600. AlreadyExists: there is something, and `replaces` is false, or other
// files lie beside a folder's own.
absl::Status WriteCertificates(const JobCertificates& certificates, const std::string& folder,
                               bool replaces);

// Reads them. NotFound: a file is missing. PermissionDenied: others than the user may read the key.
absl::StatusOr<JobCertificates> ReadCertificates(const std::string& folder);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SECURITY_CERTIFICATES_H_
