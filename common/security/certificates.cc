#include "common/security/certificates.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/host_port.h"
#include "common/base/status_macros.h"
#include "common/security/openssl_errors.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kClockDifference = absl::Hours(1);

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

absl::Status Fails(const char* what) {
  return absl::InternalError(absl::StrCat("cannot ", what, ": ", TakeOpensslError()));
}

bool IsDnsName(const std::string& host) {
  if (host.empty() || host.size() > 253 || host.front() == '-' || host.front() == '.') return false;
  for (const char letter : host) {
    if (!std::isalnum(static_cast<unsigned char>(letter)) && letter != '-' && letter != '.' &&
        letter != '_')
      return false;
  }
  return true;
}

// Adds a host to the names of a certificate.
absl::Status AddHost(const std::string& host, GENERAL_NAMES* names) {
  const bool is_address = IsNumericAddress(host);
  if (IsWildcard(host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("host \"", host,
                     "\" is every address of a machine; name those that are "
                     "dialled"));
  }
  ASN1_OCTET_STRING* value = is_address ? a2i_IPADDRESS(host.c_str()) : ASN1_IA5STRING_new();
  if (value == nullptr || (!is_address && !IsDnsName(host))) {
    ASN1_STRING_free(value);
    return absl::InvalidArgumentError(
        absl::StrCat("host \"", host,
                     "\": expected a name such as node0.example, or an address such as "
                     "10.0.0.1 or fd00::1"));
  }
  if (!is_address) ASN1_STRING_set(value, host.data(), static_cast<int>(host.size()));
  GENERAL_NAME* const name = GENERAL_NAME_new();
  GENERAL_NAME_set0_value(name, is_address ? GEN_IPADD : GEN_DNS, value);
  sk_GENERAL_NAME_push(names, name);
  return absl::OkStatus();
}

absl::Status AddExtension(X509* certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1)
    return Fails("add an extension");
  return absl::OkStatus();
}

// A certificate without signature: number, names, times and key.
absl::StatusOr<Owned<X509>> Blank(const std::string& name, EVP_PKEY* key, absl::Duration validity) {
  Owned<X509> certificate(X509_new());
  const Owned<BIGNUM> serial(BN_new());
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const auto seconds = static_cast<long>(absl::ToInt64Seconds(validity));
  const auto earlier = static_cast<long>(absl::ToInt64Seconds(kClockDifference));
  const bool made =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      BN_rand(serial.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()),
                      std::min(-earlier, seconds - earlier)) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), seconds) != nullptr &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                 0) == 1 &&
      X509_set_pubkey(certificate.get(), key) == 1;
  if (!made) return Fails("make a certificate");
  return certificate;
}

absl::Status Sign(X509* certificate, X509* authority, EVP_PKEY* key) {
  if (X509_set_issuer_name(certificate, X509_get_subject_name(authority)) == 1 &&
      X509_sign(certificate, key, EVP_sha256()) > 0)
    return absl::OkStatus();
  return Fails("sign a certificate");
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string PemOf(X509* certificate) {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return TextOf(bio.get());
}

std::string PemOf(EVP_PKEY* key) {
  const Owned<BIO> bio(BIO_new(BIO_s_secmem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return TextOf(bio.get());
}

}  // namespace

absl::StatusOr<JobCertificates> MakeCertificates(const CertificateOptions& options) {
  const Owned<GENERAL_NAMES> names(sk_GENERAL_NAME_new_null());
  for (const char* const host : {"localhost", "127.0.0.1", "::1"})
    RM_RETURN_IF_ERROR(AddHost(host, names.get()));
  for (const std::string& host : options.hosts)
    RM_RETURN_IF_ERROR(AddHost(WithoutBrackets(host), names.get()));
  const Owned<EVP_PKEY> authority_key(EVP_EC_gen("P-256"));
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  if (authority_key == nullptr || key == nullptr) return Fails("make a key");

  // A name of its own: one that another job's authority has would look forged, not foreign.
  std::array<char, 8> number;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(number.data()), number.size()) != 1)
    return Fails("draw a number");
  const std::string name = absl::StrCat(
      "ringmaster job ", absl::BytesToHexString({number.data(), number.size()}), " authority");
  RM_ASSIGN_OR_RETURN(const Owned<X509> authority,
                      Blank(name, authority_key.get(), options.validity));
  RM_RETURN_IF_ERROR(
      AddExtension(authority.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  RM_RETURN_IF_ERROR(AddExtension(authority.get(), NID_key_usage, "critical,keyCertSign"));
  RM_RETURN_IF_ERROR(AddExtension(authority.get(), NID_subject_key_identifier, "hash"));
  RM_RETURN_IF_ERROR(Sign(authority.get(), authority.get(), authority_key.get()));

  RM_ASSIGN_OR_RETURN(const Owned<X509> certificate,
                      Blank("ringmaster job", key.get(), options.validity));
  RM_RETURN_IF_ERROR(AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE"));
  RM_RETURN_IF_ERROR(AddExtension(certificate.get(), NID_key_usage, "critical,digitalSignature"));
  RM_RETURN_IF_ERROR(AddExtension(certificate.get(), NID_ext_key_usage, "serverAuth,clientAuth"));
  if (X509_add1_ext_i2d(certificate.get(), NID_subject_alt_name, names.get(), 0, 0) != 1)
    return Fails("name the hosts in a certificate");
  RM_RETURN_IF_ERROR(Sign(certificate.get(), authority.get(), authority_key.get()));
  return JobCertificates{PemOf(authority.get()), PemOf(certificate.get()), PemOf(key.get())};
}

}  // namespace ringmaster
