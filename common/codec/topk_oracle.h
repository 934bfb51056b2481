#ifndef RINGMASTER_COMMON_CODEC_TOPK_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_TOPK_ORACLE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/codec/oracle.h"

namespace ringmaster {

// What "topk" promises: of every chunk exactly the k largest, the lower index on ties. As they are,
// and so |x - C(x)|^2 <= (1 - k/d) |x|^2; or, of two bits, with the mean magnitude of their group.
extern const CodecOracle kTopkOracle;

// For oracles of codecs that keep the largest of a slice as they are. FailedPrecondition unless
// `out` is the `kept` largest of `in` and 0 elsewhere; DataLoss too, for inputs as those of
// CodecOracle::check_definition, without sorting.
absl::Status CheckLargestKept(absl::Span<const float> in, absl::Span<const float> out, size_t kept);
absl::Status CheckLargestDefined(const char* codec, absl::Span<const float> in,
                                 absl::Span<const float> decoded, int64_t kept);

// How many of `count` a share is: rounded up, at least 1 of them.
int64_t SharePairs(double density, int64_t count);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TOPK_ORACLE_H_
