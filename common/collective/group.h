#ifndef RINGMASTER_COMMON_COLLECTIVE_GROUP_H_
#define RINGMASTER_COMMON_COLLECTIVE_GROUP_H_

#include <cstdint>
#include <vector>

#include "common/base/check.h"
#include "common/base/message.h"

namespace ringmaster {

// Who takes part in a collective. A node's rank in the group is its place in `nodes`, and is what
// schedules and plans call a rank. Nodes differ from each other, and all members have the same
// list. Messages carry the channel: groups that share a pair of nodes and run collectives of the
// same step and bucket need channels of their own. So does the kind: a collective that is a drain's
// is no part of any step's traffic.
struct Group {
  std::vector<NodeId> nodes;
  uint16_t channel = 0;
  MessageKind kind = MessageKind::kCollective;

  int32_t ranks() const { return static_cast<int32_t>(nodes.size()); }

  // REQUIRES: `node` is a member.
  int32_t RankOf(const NodeId& node) const {
    int32_t rank = 0;
    while (rank < ranks() && nodes[rank] != node) ++rank;
    RM_CHECK(rank < ranks());
    return rank;
  }
};

// All workers of a run, on channel 0: worker/r has rank r.
inline Group AllWorkers(int32_t workers) {
  Group group;
  for (int32_t rank = 0; rank < workers; ++rank) group.nodes.push_back({Role::kWorker, rank});
  return group;
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_GROUP_H_
