#ifndef RINGMASTER_COMMON_BASE_CONTENT_FINGERPRINT_H_
#define RINGMASTER_COMMON_BASE_CONTENT_FINGERPRINT_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace ringmaster {

// A 64-bit fingerprint of much data, about 3 GB a second, twice to six times as fast as SHA-256:
// for data sets, which every rank looks at when it starts. Tells files apart that differ by
// accident; nobody who wants two to look alike is kept from it. A change within one aligned word of
// eight bytes always changes it. Part of records: another way to compute it would make old data
// sets look replaced. Thread-safe.
uint64_t ContentFingerprint(absl::string_view bytes);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_CONTENT_FINGERPRINT_H_
