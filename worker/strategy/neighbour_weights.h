#ifndef RINGMASTER_WORKER_STRATEGY_NEIGHBOUR_WEIGHTS_H_
#define RINGMASTER_WORKER_STRATEGY_NEIGHBOUR_WEIGHTS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/collective/gossip.h"
#include "common/params/param_layout.h"

namespace ringmaster {

// Whose weights these are, and who gossips with whom.
struct NeighbourSeat {
  GossipGraph graph = GossipGraph::kRing;
  int32_t workers = 0;
  int32_t rank = 0;
};

// What a worker has of an exchange in which neighbours may be lost: its own weights, and those of
// each neighbour apart (GossipArrival::kApart). An average has the weights of a neighbour whole, or
// the worker's own in their place: never some buckets, and nothing of a message that was cut. In a
// ring both ends of an edge do so, and the average of all who are left stays what it is. Pure. Not
// thread-safe.
class NeighbourWeights {
 public:
  // Takes the memory: [layout.count()] floats for each source. `layout` outlives this. REQUIRES:
  // 0 <= rank < workers.
  NeighbourWeights(const NeighbourSeat& seat, const ParamLayout& layout);

  // An exchange begins at these weights, [layout.count()]: copies them to where they are sent from.
  void Begin(absl::Span<const float> weights);

  // The data of the bucket's collective, [sources * bucket.count].
  absl::Span<float> DataOf(const Bucket& bucket);

  // Something of `rank` is not there: from this exchange on its place is the worker's own. May be
  // said again.
  void Lose(int32_t rank) { lost_[rank] = true; }

  // The exchange, in `round` of the graph, is over: `*sum`, [layout.count()], becomes the sum of
  // its sources, in rank order. Without a loss it has the bits of GossipArrival::kAdded.
  void Sum(int32_t round, std::vector<float>* sum) const;

 private:
  const NeighbourSeat seat_;
  const ParamLayout& layout_;
  const int32_t sources_;    // of every worker in every round, itself among them
  std::vector<float> data_;  // by bucket
  std::vector<bool> lost_;   // by rank
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_NEIGHBOUR_WEIGHTS_H_
