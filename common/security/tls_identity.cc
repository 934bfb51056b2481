#include "common/security/tls_identity.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/security/openssl_errors.h"

namespace ringmaster {
namespace {

// The first is the fastest where the processor has AES; both ends have the same list.
constexpr char kCiphers[] = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

struct FreeOpenssl {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeOpenssl>;

Owned<BIO> Reader(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::StatusOr<Owned<X509>> ReadCertificate(const std::string& text, const char* file) {
  Owned<X509> certificate(PEM_read_bio_X509(Reader(text).get(), nullptr, nullptr, nullptr));
  if (certificate != nullptr) return certificate;
  return absl::InvalidArgumentError(
      absl::StrCat(file, " holds no certificate that can be read (", TakeOpensslError(),
                   "); copy the whole folder from one `ringmaster keygen`"));
}

}  // namespace

void TlsIdentity::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

absl::StatusOr<std::shared_ptr<const TlsIdentity>> TlsIdentity::Of(
    const JobCertificates& certificates) {
  RM_ASSIGN_OR_RETURN(const Owned<X509> authority,
                      ReadCertificate(certificates.authority, kAuthorityFile));
  RM_ASSIGN_OR_RETURN(const Owned<X509> certificate,
                      ReadCertificate(certificates.certificate, kCertificateFile));
  // A key with a password is refused, not asked for at the terminal.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  const Owned<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(Reader(certificates.key).get(), nullptr, no_password, nullptr));
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(kKeyFile, " holds no key that can be read (", TakeOpensslError(),
                     "); copy the whole folder from one `ringmaster keygen`"));
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    TakeOpensslError();
    return absl::InvalidArgumentError(
        absl::StrCat(kKeyFile, " is not the key of ", kCertificateFile,
                     "; copy the whole folder from one `ringmaster keygen`"));
  }
  if (X509_verify(certificate.get(), X509_get0_pubkey(authority.get())) != 1) {
    TakeOpensslError();
    return absl::InvalidArgumentError(
        absl::StrCat(kCertificateFile, " is not signed by ", kAuthorityFile,
                     "; copy the whole folder from one `ringmaster keygen`"));
  }
  const std::shared_ptr<TlsIdentity> identity(new TlsIdentity);
  identity->certificates_ = certificates;
  identity->context_.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* const context = identity->context_.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context, kCiphers) != 1 ||
      SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1) {
    return absl::InternalError(absl::StrCat("cannot set TLS up: ", TakeOpensslError()));
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // Every connection is a new one: none is resumed, and no ticket follows the handshake.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  return std::shared_ptr<const TlsIdentity>(identity);
}

absl::StatusOr<std::shared_ptr<const TlsIdentity>> TlsIdentity::Load(const std::string& folder) {
  RM_ASSIGN_OR_RETURN(const JobCertificates certificates, ReadCertificates(folder));
  auto identity = Of(certificates);
  if (!identity.ok()) return Annotate(identity.status(), folder);
  RM_ASSIGN_OR_RETURN(const Owned<X509> certificate,
                      ReadCertificate(certificates.certificate, kCertificateFile));
  if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, ": the certificate has expired; make others: ringmaster keygen ",
                     folder, " --force, with the --host of all machines, and copy them"));
  }
  return identity;
}

}  // namespace ringmaster
