#ifndef RINGMASTER_COMMON_CONTROL_MISSING_RANKS_H_
#define RINGMASTER_COMMON_CONTROL_MISSING_RANKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/host_port.h"

namespace ringmaster {

// What is known of a rank that has not joined.
struct RankTrace {
  int64_t pid = 0;  // on this machine, where a launcher here has started it; 0: somebody else has
  // why a process that called itself this rank was turned away; empty: none was
  std::string refused;
};
struct MissingRank {
  int32_t rank = 0;
  RankTrace trace;
};

// Why each of `missing`, at least one, has not joined, as far as it can be seen here, and what to
// do: it has ended, is suspended, still starts, was turned away, or nothing was heard of it. Ranks
// of which the same is known stand together. `listens_at`: where they should have come;
// `hindrance`: what keeps all of them out, or empty.
std::string WhyMissing(const std::vector<MissingRank>& missing, const HostPort& listens_at,
                       const std::string& hindrance);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_MISSING_RANKS_H_
