#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_ALL_REDUCE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_ALL_REDUCE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "experiments/proof/bench/bench_buffers.h"
#include "experiments/proof/bench/bench_group.h"

namespace ringmaster {

// Our own transports and collectives among the engines; the others are common/engine's.
inline constexpr char kOwnEngine[] = "ringmaster";
// And no engine but what the sockets give (experiments/proof/bench/socket_loops.h): it moves a
// ring's bytes and sums nothing.
inline constexpr char kSocketLimit[] = "sockets";
inline constexpr char kSocketRounds[] = "sockets_in_rounds";

// What is measured: float32 sums over all ranks, of every size, by every engine; by our own over
// every transport with every collective, by another with the algorithm that is its best at that
// size.
struct AllReduceBench {
  int32_t workers = 2;
  std::vector<std::string> engines = {kOwnEngine};
  std::vector<std::string> transports = {"tcp"};
  std::vector<std::string> collectives = {"ring"};  // "auto" too
  std::string wait = "sleep";
  std::vector<int64_t> sizes;
  // timed ones of each size; 0: about half a second of them a contender, 10 to 2000
  int64_t iterations = 0;
  int64_t warm_up = 5;  // before them, at least 1
  BenchBuffers buffers;
  std::vector<int64_t> bursts = {0};  // calls behind one barrier, measured one after the other; 0:
                                      // as many as reduce 4 MiB, 1 to 16
};

// One of the settings that take turns.
struct BenchContender {
  std::string transport;   // empty for an engine that is not ours
  std::string collective;  // or "best"; empty for an engine that is not ours
  std::string engine = kOwnEngine;
};

inline bool IsLimit(absl::string_view engine) {
  return engine == kSocketLimit || engine == kSocketRounds;
}
inline bool IsLimit(const BenchContender& contender) { return IsLimit(contender.engine); }

// All of them: our own first, those of the first transport before the others', then the engines
// beside them.
std::vector<BenchContender> ContendersOf(const AllReduceBench& bench);

// The launcher of an MPI that has to start the ranks; empty: none.
std::string MpiLauncherOf(const AllReduceBench& bench);

// Calls behind one barrier for data of `size_bytes`, where `burst` is asked for.
int64_t BurstOf(int64_t burst, int64_t size_bytes);

// InvalidArgument when the bench makes no sense: an unknown engine, transport or collective, or one
// named twice; an engine that is not in this build; several transports beside MPI, whose own can
// follow only one; a transport that does not leave its process; fewer than two workers or more than
// sums stay exact for; buffers that need more than half of `memory_bytes` (0: unknown).
absl::Status CheckAllReduceBench(const AllReduceBench& bench, int64_t memory_bytes);

// What one contender took for one size: of every iteration the slowest rank's time a call, in
// microseconds.
struct ContenderTimes {
  BenchContender contender;
  // what "auto" stood for, else the contender's own; of another engine its wire
  std::string transport_ran;
  std::string collective_ran;  // the same; of another engine the algorithm that was its best
  std::vector<double> times_us;
  // Of another engine, all its algorithms with the median microseconds by which the best was found.
  std::vector<std::pair<std::string, double>> calibration;
  std::string library;   // of another engine, with its version
  std::string handicap;  // of another engine: Engine::handicap
};

struct AllReduceResult {
  int64_t size_bytes = 0;
  int64_t burst = 0;
  // iteration i of each ran next to iteration i of the others, in turning order
  std::vector<ContenderTimes> contenders;
};

// One rank's part of the benchmark, from join to leave. `sink` is called on rank 0, after each
// size.
//
// An iteration of one contender: as many buffers as the burst has calls are written anew, as a
// backward pass does, and where cold ones are asked for taken out of the caches; a barrier; then
// the clock runs while they are reduced in place, one after the other; then every element of every
// result is compared with the exact sum. A wrong one is DataLoss and ends the benchmark on all
// ranks. Contenders take turns, iteration by iteration.
absl::Status RunAllReduceRank(const AllReduceBench& bench, const BenchSeat& seat,
                              const std::function<void(const AllReduceResult&)>& sink);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_ALL_REDUCE_H_
