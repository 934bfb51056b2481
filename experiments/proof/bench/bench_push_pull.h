#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PUSH_PULL_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PUSH_PULL_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/transport/transport.h"
#include "experiments/proof/bench/bench_buffers.h"
#include "experiments/proof/bench/bench_group.h"

namespace ringmaster {

// What is measured: a step's exchange with parameter servers, by size and transport. Every worker
// pushes float32 values, the servers add up all workers' and update weights of the same size, and
// every worker pulls those.
struct PushPullBench {
  int32_t workers = 2;
  int32_t servers = 2;
  bool colocated = false;  // server k beside worker k, else servers are processes of their own
  std::vector<std::string> transports = {"tcp"};
  std::string wait = "sleep";
  std::vector<int64_t> sizes;        // that one worker pushes, and pulls again
  int64_t bucket_bytes = 512 << 10;  // of which each server has its part; 0: one bucket
  // timed ones of each size; 0: about half a second of them a transport, 10 to 2000
  int64_t iterations = 0;
  int64_t warm_up = 5;   // before them, at least 1
  BenchBuffers buffers;  // of the workers' gradients
};

// The buckets that data of `size_bytes` is cut into.
int64_t BucketsOf(const PushPullBench& bench, int64_t size_bytes);

// Who lives in which process: workers first, dedicated servers behind them.
std::vector<std::vector<NodeId>> PushPullNodes(const PushPullBench& bench);

// InvalidArgument when the bench makes no sense: an unknown transport, or one named twice or that
// does not leave its process; numbers of workers and servers that sums and placement do not allow;
// buckets that are no multiple of 4; buffers that need more than half of `memory_bytes` (0:
// unknown).
absl::Status CheckPushPullBench(const PushPullBench& bench, int64_t memory_bytes);

// What one transport took for one size: of every iteration the slowest worker's time, in
// microseconds.
struct PushPullTimes {
  std::string transport;
  std::string transport_ran;  // what "auto" stood for, else the same
  std::vector<double> times_us;
};

struct PushPullResult {
  int64_t size_bytes = 0;
  int64_t buckets = 0;
  // iteration i of each ran next to iteration i of the others
  std::vector<PushPullTimes> transports;
};

// One process's part of the benchmark of the only size in `bench`, from join to leave. `seat.nodes`
// are PushPullNodes. `sink` is called in the process of worker/0, once.
//
// The workers are the parameter server strategy of the training loop, the servers its shards, under
// BSP and plain SGD. An iteration: the gradient is written anew, as a backward pass does; a barrier
// of the workers; then the clock runs while all buckets are handed to the strategy, one after the
// other, until the new weights are there, whole; then every weight is compared with the exact one.
// A wrong one is DataLoss and ends the benchmark everywhere. Transports take turns, iteration by
// iteration.
absl::Status RunPushPullProcess(const PushPullBench& bench, const BenchSeat& seat,
                                const std::function<void(const PushPullResult&)>& sink);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_PUSH_PULL_H_
