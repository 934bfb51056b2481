#ifndef RINGMASTER_COMMON_SCHEME_WEIGHT_EXCHANGE_H_
#define RINGMASTER_COMMON_SCHEME_WEIGHT_EXCHANGE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/problems.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"

namespace ringmaster {

// What the schemes have in common whose workers update their own weights and exchange them, as
// floats. Pure, thread-safe.

// Adds a problem where the codec leaves something out: weights go as they are.
void CheckWeightsGoWhole(const RunSpec& resolved, Problems* problems);

// Adds a problem where `field`, with the value `name`, is none of our collectives or "auto".
void CheckOwnCollective(absl::string_view field, const std::string& name, Problems* problems);

// The registry's own name of a collective or "auto", which outlives every spec; empty: no such.
absl::string_view OwnCollective(absl::string_view name);

// What `rank` sends and receives when all buckets of `layout` are summed `times` times, as floats,
// by the collective of `traits`, which may be "auto".
absl::StatusOr<RunTraffic> AllReduceTraffic(const RunSpec& resolved, const SchemeTraits& traits,
                                            const ParamLayout& layout, int32_t rank, int64_t times);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_WEIGHT_EXCHANGE_H_
