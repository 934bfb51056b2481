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
  RM_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) == 1);
  RM_CHECK(length == digest.size());
  return digest;
}

}  // namespace

std::string Sha256Hex(absl::string_view bytes) {
  const auto digest = Sha256(bytes);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string Sha256Hex(absl::Span<const float> values) {
  return Sha256Hex(absl::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

uint64_t Fingerprint64(absl::string_view bytes) {
  const auto digest = Sha256(bytes);
  uint64_t first = 0;
  std::memcpy(&first, digest.data(), sizeof(first));
  return first;
}

}  // namespace ringmaster
