#include "experiments/bench/bench_all_reduce.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/collective/choice.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/tensor/tensor.h"
#include "common/transport/fabric.h"
#include "experiments/bench/bench_pattern.h"
#include "experiments/bench/bench_sizes.h"
#include "experiments/bench/bench_turns.h"

namespace ringmaster {
namespace {

using Clock = BenchClock;

constexpr absl::Duration kWaitLimit = absl::Seconds(60);
constexpr int64_t kBurstBytes = 4 << 20;
constexpr int64_t kBurstMax = 16;
constexpr int64_t kAlignment = 64;

int64_t Aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// What the buffers of one rank and transport take.
int64_t BufferBytes(const AllReduceBench& bench) {
  int64_t bytes = 0;
  for (const int64_t size : bench.sizes) bytes = std::max(bytes, BurstOf(bench, size) * Aligned(size));
  return bytes;
}

// One rank. Calls come from one thread.
class Rank {
 public:
  Rank(const AllReduceBench& bench, const BenchSeat& seat)
      : bench_(bench), seat_(seat), pattern_(seat.rank, seat.ranks), lines_(bench.transports.size()) {}

  absl::Status Run(const std::function<void(const AllReduceResult&)>& sink) {
    RM_ASSIGN_OR_RETURN(group_, BenchGroup::Join(seat_, bench_.transports, bench_.wait));
    return group_->Leave(Measure(sink));
  }

 private:
  // What a transport is used with.
  struct Line {
    Buffer buffer;
    std::unique_ptr<CollectiveExecutor> executor;
    int64_t next_step = 0;  // of its tags
    int64_t next_call = 0;  // of the pattern
  };

  // A contender on data of one size.
  struct Turn {
    BenchContender contender;
    size_t transport = 0;
    std::unique_ptr<Schedule> schedule;
    int64_t size_bytes = 0;
    int64_t burst = 0;
  };

  absl::Status Measure(const std::function<void(const AllReduceResult&)>& sink) {
    ExecutorOptions options;
    options.wait_limit = kWaitLimit;
    for (size_t i = 0; i < lines_.size(); ++i) {
      RM_ASSIGN_OR_RETURN(lines_[i].buffer, group_->fabric(i).AllocateExchange(BufferBytes(bench_)));
      lines_[i].executor =
          std::make_unique<CollectiveExecutor>(group_->transport(i), seat_.rank, seat_.ranks, options);
    }
    for (const int64_t size : bench_.sizes) {
      AllReduceResult result;
      RM_RETURN_IF_ERROR(MeasureSize(size, &result));
      if (seat_.rank == 0) sink(result);
    }
    return absl::OkStatus();
  }

  absl::Status MeasureSize(int64_t size_bytes, AllReduceResult* result) {
    RM_ASSIGN_OR_RETURN(std::vector<Turn> turns, TurnsOf(size_bytes));
    double round_seconds = 0;  // of the last
    for (int64_t i = 0; i < bench_.warm_up; ++i) {
      const Clock::time_point begin = Clock::now();
      for (const Turn& turn : turns) RM_RETURN_IF_ERROR(Take(turn).status());
      round_seconds = SecondsSince(begin);
    }
    int64_t iterations = bench_.iterations;
    if (iterations == 0) {
      std::vector<double> slowest = {round_seconds};
      RM_RETURN_IF_ERROR(Slowest(&slowest));
      iterations = BenchIterations(slowest[0], turns.size());
    }
    std::vector<double> seconds;  // [iterations, turns]
    seconds.reserve(iterations * turns.size());
    for (int64_t i = 0; i < iterations; ++i) {
      for (const Turn& turn : turns) {
        RM_ASSIGN_OR_RETURN(const double taken, Take(turn));
        seconds.push_back(taken);
      }
    }
    RM_RETURN_IF_ERROR(Slowest(&seconds));
    result->size_bytes = size_bytes;
    result->burst = BurstOf(bench_, size_bytes);
    for (size_t t = 0; t < turns.size(); ++t) {
      ContenderTimes& times = result->contenders.emplace_back();
      times.contender = turns[t].contender;
      times.transport_ran = group_->fabric(turns[t].transport).name();
      times.collective_ran = std::string(turns[t].schedule->name());
      for (int64_t i = 0; i < iterations; ++i) times.times_us.push_back(1e6 * seconds[i * turns.size() + t]);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Turn>> TurnsOf(int64_t size_bytes) const {
    std::vector<Turn> turns;
    for (const BenchContender& contender : ContendersOf(bench_)) {
      Turn& turn = turns.emplace_back();
      turn.contender = contender;
      turn.transport = std::find(bench_.transports.begin(), bench_.transports.end(), contender.transport) -
                       bench_.transports.begin();
      RM_ASSIGN_OR_RETURN(turn.schedule,
                          CreateSchedule(ResolveCollective(contender.collective, seat_.ranks, size_bytes)));
      turn.size_bytes = size_bytes;
      turn.burst = BurstOf(bench_, size_bytes);
    }
    return turns;
  }

  // One iteration of a contender; this rank's seconds a call.
  absl::StatusOr<double> Take(const Turn& turn) {
    Line& line = lines_[turn.transport];
    const auto data = [&](int64_t call) {
      return line.buffer.float_span().subspan(call * (Aligned(turn.size_bytes) / 4), turn.size_bytes / 4);
    };
    for (int64_t i = 0; i < turn.burst; ++i) pattern_.Fill(line.next_call + i, data(i));
    RM_RETURN_IF_ERROR(Named(line.executor->Barrier(line.next_step++, 0), turn));
    const Clock::time_point begin = Clock::now();
    for (int64_t i = 0; i < turn.burst; ++i) {
      const absl::Span<float> floats = data(i);
      const absl::Span<std::byte> bytes(reinterpret_cast<std::byte*>(floats.data()), turn.size_bytes);
      RM_RETURN_IF_ERROR(Named(
          line.executor->AllReduce(*turn.schedule, line.next_step++, 0, ElementType::kFloat32, bytes), turn));
    }
    const double seconds = SecondsSince(begin);
    for (int64_t i = 0; i < turn.burst; ++i) RM_RETURN_IF_ERROR(Named(pattern_.Check(line.next_call + i, data(i)), turn));
    line.next_call += turn.burst;
    return seconds / turn.burst;
  }

  absl::Status Slowest(std::vector<double>* seconds) {
    return TakeSlowest(*lines_[0].executor, lines_[0].next_step++, seat_.rank, seat_.ranks, seconds);
  }

  absl::Status Named(const absl::Status& status, const Turn& turn) const {
    if (status.ok()) return status;
    return Annotate(status, absl::StrCat("all-reduce of ", FormatSize(turn.size_bytes), " over ", turn.contender.transport,
                                         " by ", turn.schedule->name(), ", worker/", seat_.rank));
  }

  const AllReduceBench& bench_;
  const BenchSeat& seat_;
  const BenchPattern pattern_;

  // After a failure, operations that nobody waited for may touch these until the fabrics are gone: those go first.
  std::vector<Line> lines_;  // by transport
  std::unique_ptr<BenchGroup> group_;
};

}  // namespace

std::vector<BenchContender> ContendersOf(const AllReduceBench& bench) {
  std::vector<BenchContender> contenders;
  for (const std::string& transport : bench.transports) {
    for (const std::string& collective : bench.collectives) contenders.push_back({transport, collective});
  }
  return contenders;
}

int64_t BurstOf(const AllReduceBench& bench, int64_t size_bytes) {
  return bench.burst > 0 ? bench.burst : std::clamp<int64_t>(kBurstBytes / size_bytes, 1, kBurstMax);
}

absl::Status CheckAllReduceBench(const AllReduceBench& bench, int64_t memory_bytes) {
  if (bench.workers < 2 || bench.workers > BenchPattern::kRanksMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--workers ", bench.workers, ": expected 2 to ", BenchPattern::kRanksMax));
  }
  RM_RETURN_IF_ERROR(CheckBenchTransports(bench.transports));
  RM_RETURN_IF_ERROR(CheckBenchNames("--collective", bench.collectives, CollectiveChoices()));
  const int64_t needed = bench.workers * static_cast<int64_t>(bench.transports.size()) * BufferBytes(bench);
  if (memory_bytes > 0 && needed > memory_bytes / 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--sizes: the buffers of ", bench.workers, " workers on ", bench.transports.size(), " transports need ",
        needed >> 20, " MiB, more than half of this machine's ", memory_bytes >> 20,
        " MiB; give smaller sizes, a smaller --burst, fewer workers or fewer transports"));
  }
  return absl::OkStatus();
}

absl::Status RunAllReduceRank(const AllReduceBench& bench, const BenchSeat& seat,
                              const std::function<void(const AllReduceResult&)>& sink) {
  return Rank(bench, seat).Run(sink);
}

}  // namespace ringmaster
