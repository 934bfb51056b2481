#include "common/base/fingerprint.h"

#include <openssl/evp.h>

#include <array>
#include <cstring>

#include "absl/strings/escaping.h"
#include "common/base/check.h"

namespace ringmaster {
namespace {

std::array<unsigned char, 32> Sha256(absl::string_view bytes) {
  std::array<unsigned char, 32> digest;
  unsigned int length = 0;
  RM_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) ==
           1);
  RM_CHECK(length == digest.size());
  return digest;
}

}  // namespace

std::string Sha256Hex(absl::string_view bytes) {
  const auto digest = Sha256(bytes);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string Sha256Hex(absl::Span<const float> values) {
  return Sha256Hex(absl::string_view(reinterpret_cast<const char*>(values.data()),
                                     values.size() * sizeof(float)));
}

void FingerprintStream::Free::operator()(void* context) const {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
}

FingerprintStream::FingerprintStream() : context_(EVP_MD_CTX_new()) {
  RM_CHECK(context_ != nullptr);
  RM_CHECK(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr) == 1);
}

void FingerprintStream::Add(absl::string_view bytes) {
  RM_CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), bytes.data(), bytes.size()) ==
           1);
}

uint64_t FingerprintStream::Finish() {
  auto* const context = static_cast<EVP_MD_CTX*>(context_.get());
  std::array<unsigned char, 32> digest;
  unsigned int length = 0;
  RM_CHECK(EVP_DigestFinal_ex(context, digest.data(), &length) == 1 && length == digest.size());
  RM_CHECK(EVP_DigestInit_ex(context, nullptr, nullptr) == 1);
  uint64_t first = 0;
  std::memcpy(&first, digest.data(), sizeof(first));
  return first;
}

uint64_t Fingerprint64(absl::string_view bytes) {
  const auto digest = Sha256(bytes);
  uint64_t first = 0;
  std::memcpy(&first, digest.data(), sizeof(first));
  return first;
}

}  // namespace ringmaster
