#include "common/collective/gossip.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace ringmaster {
namespace {

// How far before itself a rank's sources stand.
std::vector<int32_t> Distances(GossipGraph graph, int32_t round) {
  if (graph == GossipGraph::kRing) return {1, -1};
  return {int32_t{1} << round};
}

int32_t Wrap(int32_t rank, int32_t ranks) { return (rank % ranks + ranks) % ranks; }

class GossipSchedule : public Schedule {
 public:
  GossipSchedule(GossipGraph graph, int32_t round, GossipArrival arrival)
      : graph_(graph),
        round_(round),
        is_apart_(arrival == GossipArrival::kApart),
        name_(graph == GossipGraph::kRing ? "gossip_ring"
                                          : absl::StrCat("gossip_exponential_", round)) {}

  absl::string_view name() const override { return name_; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    std::vector<Step> steps;
    if (ranks == 1) return steps;
    std::vector<int32_t> targets;
    for (const int32_t distance : Distances(graph_, round_)) {
      const int32_t target = Wrap(rank + distance, ranks);
      if (std::find(targets.begin(), targets.end(), target) == targets.end())
        targets.push_back(target);
    }
    const int32_t sent = is_apart_ ? 1 : ranks;
    for (const int32_t target : targets) steps.push_back({Step::Op::kSend, target, 0, sent, 0});
    int32_t place = 1;
    for (const int32_t source : GossipSources(graph_, ranks, round_, rank)) {
      if (source == rank) continue;
      steps.push_back(is_apart_ ? Step{Step::Op::kReceive, source, place++, 1, 0}
                                : Step{Step::Op::kReceiveAdd, source, 0, ranks, 0});
    }
    return steps;
  }

  int32_t chunks(int32_t ranks) const override {
    if (!is_apart_) return ranks;
    return static_cast<int32_t>(GossipSources(graph_, ranks, round_, /*rank=*/0).size());
  }

 private:
  const GossipGraph graph_;
  const int32_t round_;
  const bool is_apart_;
  const std::string name_;
};

}  // namespace

int32_t GossipRounds(GossipGraph graph, int32_t ranks) {
  RM_CHECK(ranks >= 1);
  int32_t rounds = 1;
  if (graph == GossipGraph::kRing) return rounds;
  while (int64_t{1} << rounds < ranks) ++rounds;
  return rounds;
}

std::vector<int32_t> GossipSources(GossipGraph graph, int32_t ranks, int32_t round, int32_t rank) {
  RM_CHECK(rank >= 0 && rank < ranks && round >= 0 && round < GossipRounds(graph, ranks));
  std::vector<int32_t> sources = {rank};
  for (const int32_t distance : Distances(graph, round))
    sources.push_back(Wrap(rank - distance, ranks));
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  return sources;
}

std::vector<double> MixingMatrix(GossipGraph graph, int32_t ranks, int32_t round) {
  std::vector<double> matrix(static_cast<size_t>(ranks) * ranks);
  for (int32_t rank = 0; rank < ranks; ++rank) {
    const std::vector<int32_t> sources = GossipSources(graph, ranks, round, rank);
    for (const int32_t source : sources)
      matrix[static_cast<size_t>(rank) * ranks + source] =
          1.0 / static_cast<double>(sources.size());
  }
  return matrix;
}

std::unique_ptr<Schedule> CreateGossipSchedule(GossipGraph graph, int32_t round,
                                               GossipArrival arrival) {
  return std::make_unique<GossipSchedule>(graph, round, arrival);
}

}  // namespace ringmaster
