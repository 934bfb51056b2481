#ifndef RINGMASTER_COMMON_BASE_FINGERPRINT_H_
#define RINGMASTER_COMMON_BASE_FINGERPRINT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ringmaster {

// SHA-256 of the bytes, as 64 lower-case hexadecimal digits. Thread-safe.
std::string Sha256Hex(absl::string_view bytes);

// SHA-256 of the floats' bytes, little-endian as they lie in memory: the identity of a set of
// weights.
std::string Sha256Hex(absl::Span<const float> values);

// A 64-bit fingerprint (the first 8 bytes of SHA-256), for layouts, specs and samples.
uint64_t Fingerprint64(absl::string_view bytes);

// Fingerprint64 of bytes that come piece by piece, in constant memory. Move-only; one thread at a
// time.
class FingerprintStream {
 public:
  FingerprintStream();
  void Add(absl::string_view bytes);
  // Of all bytes added since the last call, or the beginning.
  uint64_t Finish();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_FINGERPRINT_H_
