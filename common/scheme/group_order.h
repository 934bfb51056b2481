#ifndef RINGMASTER_COMMON_SCHEME_GROUP_ORDER_H_
#define RINGMASTER_COMMON_SCHEME_GROUP_ORDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/problems.h"
#include "common/scheme/scheme.h"

namespace ringmaster {

// The order in which workers stand in the groups of a run's collectives (StrategySpec.group_order):
// the place of a worker is what schedules call a rank. Pure, thread-safe.

// Those of one host together, hosts by their numbers, within a host by rank: the default.
inline constexpr absl::string_view kOrderByHosts = "hosts";
// worker/r at place r.
inline constexpr absl::string_view kOrderByRanks = "ranks";

// Whether the run has collectives of ours whose order may be chosen.
bool TakesGroupOrder(const SchemeTraits& traits);

// Sets what is left out.
void ResolveGroupOrder(const SchemeTraits& traits, StrategySpec* strategy);

// Adds what is wrong with the resolved strategy's order.
void CheckGroupOrder(const StrategySpec& strategy, const SchemeTraits& traits, Problems* problems);

// The order's text once it is known which host each of the workers is on: a list of all ranks,
// "0,2|1,3", in which a bar stands where neighbours are on unlike hosts. `hosts`: by rank.
// `order`: a resolved spec's. REQUIRES: it is valid for so many workers.
std::string FormedGroupOrder(absl::string_view order, absl::Span<const int32_t> hosts);

// The workers by place, [workers]. Of "hosts", before hosts are known, that of one host: by ranks.
// `order`: a valid spec's, or FormedGroupOrder's; empty: by ranks.
std::vector<int32_t> RanksByPlace(absl::string_view order, int32_t workers);

// The same of a resolved spec.
std::vector<int32_t> RanksByPlace(const RunSpec& resolved, int32_t workers);

// The place of `rank`. As RanksByPlace. REQUIRES: 0 <= rank < workers.
int32_t PlaceOfRank(absl::string_view order, int32_t workers, int32_t rank);

// How many ranks a group of the collective has where nobody has set it: the greatest common divisor
// of the numbers of neighbours that are on one host, so that every group lies within a host. Where
// it is 1, or all are on one host, that of DefaultGroupSize. 0: the collective has no groups, or
// nobody knows how many workers there are. `order`: as RanksByPlace.
int32_t GroupSizeFor(absl::string_view collective, absl::string_view order, int32_t workers);

// The order of those that are left: "hosts" and "ranks" stay what they are, and a list is without
// the others. `left`: their ranks, ascending, which are numbered anew from 0.
std::string OrderOfThoseLeft(absl::string_view order, absl::Span<const int32_t> left);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_GROUP_ORDER_H_
