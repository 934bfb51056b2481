#ifndef RINGMASTER_COMMON_SCHEME_REGISTRY_H_
#define RINGMASTER_COMMON_SCHEME_REGISTRY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/base/problems.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"

namespace ringmaster {

class RunSpec;
class StrategySpec;

// All schemes, in the order in which they are listed. Everything here is pure and thread-safe.
absl::Span<const Scheme* const> Schemes();

// "single, solo, ...": what a spec's strategy may be.
std::string SchemeNames();

// The scheme that `strategy` sets; null where it sets none.
const Scheme* FindScheme(const StrategySpec& strategy);
// The scheme of that name; null where there is none.
const Scheme* FindScheme(absl::string_view name);

// "dealt" or "claimed".
absl::string_view WorkName(Work work);

// What follows from the spec's scheme. Of a spec without one: N workers that exchange nothing.
SchemeTraits TraitsOf(const RunSpec& spec);

// Fills in what is left out: the scheme itself (a central parameter server), its settings,
// processes to launch.
void ResolveStrategy(int32_t workers, StrategySpec* strategy);

// Adds what is wrong with the resolved spec's strategy, and with what goes with it.
void CheckStrategy(const RunSpec& resolved, Problems* problems);

// Payload of `node` in the first `steps` steps of a run (Scheme::traffic).
// Unimplemented: a library that is not ours does the sums.
absl::StatusOr<RunTraffic> RunTrafficOf(const RunSpec& resolved, const ParamLayout& layout,
                                        NodeId node, int64_t steps);

// What becomes of the weights once all that a step waits for is there, in sentences (Scheme::rule).
// Empty where the scheme exchanges nothing.
std::string RuleOf(const RunSpec& resolved);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_REGISTRY_H_
