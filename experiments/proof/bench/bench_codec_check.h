#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

// Whether `decoded` is what the codec's definition (common/codec) makes of `in`, reckoned anew in double precision. `kept`
// is the number of elements that "topk" keeps. None of `in` is 0. DataLoss names the first element that is wrong;
// InvalidArgument: a codec that has no definition here. Pure, thread-safe.
absl::Status CheckDecoded(const std::string& codec, absl::Span<const float> in, absl::Span<const float> decoded,
                          int64_t kept);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_CHECK_H_
