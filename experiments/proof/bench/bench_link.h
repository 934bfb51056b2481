#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_LINK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_LINK_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "common/transport/fabric.h"

namespace ringmaster {

struct BenchSeat;

// What is measured: how long messages take between processes, by size.
struct LinkBench {
  FabricOptions fabric;
  std::vector<int64_t> sizes = {64, 4 << 10, 32 << 10, 128 << 10, 512 << 10};  // bytes
  double seconds = 0.15;  // of each size and pattern, about
};

// What messages of one size took, in seconds.
struct LinkTimes {
  int64_t bytes = 0;
  // Half the round trip of one that goes from one rank to the next and back, where nothing else
  // moves.
  std::vector<double> alone;
  // From a barrier until the slowest rank has sent one to the next and received one from the rank
  // before: every process sends and receives at once.
  std::vector<double> together;
  // Processor time of rank 0's process for one of these, mean: it sends one, receives one, and
  // passes the barrier.
  double together_cpu = 0;
};

// One rank's part, from join to leave; the seat has two ranks or more. `sink` is called on rank 0,
// once. Errors as BenchGroup::Join and Transport.
absl::Status RunLinkRank(const LinkBench& bench, const BenchSeat& seat,
                         const std::function<void(const std::vector<LinkTimes>&)>& sink);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_LINK_H_
