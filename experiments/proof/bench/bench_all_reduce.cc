#include "experiments/proof/bench/bench_all_reduce.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/collective/choice.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/engine/engine.h"
#include "common/engine/engines.h"
#include "common/engine/gather_messages.h"
#include "common/tensor/tensor.h"
#include "common/transport/fabric.h"
#include "experiments/proof/bench/bench_pattern.h"
#include "experiments/proof/bench/bench_sizes.h"
#include "experiments/proof/bench/bench_turns.h"
#include "experiments/proof/bench/socket_loops.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {
namespace {

using Clock = BenchClock;

constexpr absl::Duration kWaitLimit = absl::Seconds(60);
// Of each algorithm of another engine, before the best one is timed.
constexpr double kSecondsOfCalibration = 0.1;
constexpr int64_t kCalibrationsMin = 3;
constexpr int64_t kCalibrationsMax = 100;
constexpr int64_t kBurstBytes = 4 << 20;
constexpr int64_t kBurstMax = 16;
constexpr int64_t kAlignment = 64;

int64_t Aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// What the buffers of one rank for one transport or engine take.
int64_t BufferBytes(const AllReduceBench& bench) {
  int64_t bytes = 0;
  for (const int64_t size : bench.sizes) {
    for (const int64_t burst : bench.bursts)
      bytes = std::max(bytes, BurstOf(burst, size) * Aligned(size));
  }
  return bytes + (bench.buffers.unaligned ? kAlignment : 0);
}

bool HasOwn(const AllReduceBench& bench) {
  return std::find(bench.engines.begin(), bench.engines.end(), kOwnEngine) != bench.engines.end();
}

// One rank. Calls come from one thread.
class Rank {
 public:
  Rank(const AllReduceBench& bench, const BenchSeat& seat)
      : bench_(bench),
        seat_(seat),
        pattern_(seat.rank, seat.ranks),
        lines_(bench.transports.size()) {}

  absl::Status Run(const std::function<void(const AllReduceResult&)>& sink) {
    RM_ASSIGN_OR_RETURN(group_, BenchGroup::Join(seat_, bench_.transports, bench_.wait));
    const absl::Status measured = Measure(sink);
    group_->SetAbort(nullptr);
    return group_->Leave(measured);
  }

 private:
  // What a transport is used with, or what another engine is.
  struct Line {
    Buffer buffer;
    int64_t next_call = 0;  // of the pattern
    std::unique_ptr<CollectiveExecutor> executor;
    int64_t next_step = 0;  // of its tags
    std::unique_ptr<Engine> engine;
  };

  // A contender on data of one size.
  struct Turn {
    BenchContender contender;
    size_t line = 0;
    std::unique_ptr<Schedule> schedule;  // ours
    int32_t algorithm = 0;               // of another engine
    std::vector<double> calibration_us;  // by algorithm
    int64_t size_bytes = 0;
    int64_t burst = 0;
  };

  absl::Status Measure(const std::function<void(const AllReduceResult&)>& sink) {
    ExecutorOptions options;
    options.wait_limit = kWaitLimit;
    for (size_t i = 0; i < bench_.transports.size(); ++i) {
      if (HasOwn(bench_)) {
        RM_ASSIGN_OR_RETURN(lines_[i].buffer,
                            group_->fabric(i).AllocateExchange(BufferBytes(bench_)));
      }
      lines_[i].executor = std::make_unique<CollectiveExecutor>(group_->transport(i),
                                                                AllWorkers(seat_.ranks), options);
    }
    RM_RETURN_IF_ERROR(CreateEngines());
    for (const int64_t size : bench_.sizes) {
      for (const int64_t burst : bench_.bursts) {
        AllReduceResult result;
        RM_RETURN_IF_ERROR(MeasureSize(size, BurstOf(burst, size), &result));
        if (seat_.rank == 0) sink(result);
      }
    }
    // None leaves an engine while another still needs it.
    RM_RETURN_IF_ERROR(lines_[0].executor->Barrier(lines_[0].next_step++, 0));
    for (Line& line : lines_) {
      if (line.engine != nullptr) RM_RETURN_IF_ERROR(line.engine->Finish());
    }
    return absl::OkStatus();
  }

  absl::Status CreateEngines() {
    EngineSeat seat;
    seat.rank = seat_.rank;
    seat.ranks = seat_.ranks;
    seat.wait_limit = kWaitLimit;
    seat.all_gather = [this](absl::string_view own) {
      return GatherMessages(*lines_[0].executor, lines_[0].next_step++, own);
    };
    for (const std::string& name : bench_.engines) {
      if (name == kOwnEngine) continue;
      Line line;
      seat.device = EngineGpusOf(name) == EngineGpus::kOneEach ? seat_.rank : 0;
      if (IsLimit(name)) {
        RM_ASSIGN_OR_RETURN(line.engine, SocketLoops::Create(seat, name == kSocketRounds));
      } else {
        RM_ASSIGN_OR_RETURN(line.engine, CreateEngine(name, seat));
      }
      RM_ASSIGN_OR_RETURN(line.buffer, Buffer::AllocateHost(BufferBytes(bench_)));
      lines_.push_back(std::move(line));
    }
    group_->SetAbort([this](const absl::Status& why) {
      for (Line& line : lines_) {
        if (line.engine != nullptr) line.engine->Abort(why);
      }
    });
    return absl::OkStatus();
  }

  absl::Status MeasureSize(int64_t size_bytes, int64_t burst, AllReduceResult* result) {
    RM_ASSIGN_OR_RETURN(std::vector<Turn> turns, TurnsOf(size_bytes, burst));
    for (Turn& turn : turns) RM_RETURN_IF_ERROR(Calibrate(&turn));
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
    std::vector<double> seconds(iterations * turns.size());  // [iterations, turns]
    for (int64_t i = 0; i < iterations; ++i) {
      for (size_t k = 0; k < turns.size(); ++k) {
        // Every other round backwards, so that nobody always runs behind the same other one.
        const size_t t = i % 2 == 0 ? k : turns.size() - 1 - k;
        RM_ASSIGN_OR_RETURN(seconds[i * turns.size() + t], Take(turns[t]));
      }
    }
    RM_RETURN_IF_ERROR(Slowest(&seconds));
    result->size_bytes = size_bytes;
    result->burst = burst;
    for (size_t t = 0; t < turns.size(); ++t) {
      ContenderTimes& times = result->contenders.emplace_back(TimesOf(turns[t]));
      for (int64_t i = 0; i < iterations; ++i)
        times.times_us.push_back(1e6 * seconds[i * turns.size() + t]);
    }
    return absl::OkStatus();
  }

  // What the result says of a contender, but for its times.
  ContenderTimes TimesOf(const Turn& turn) {
    ContenderTimes times;
    times.contender = turn.contender;
    if (turn.schedule != nullptr) {
      times.transport_ran = group_->fabric(turn.line).name();
      times.collective_ran = std::string(turn.schedule->name());
      return times;
    }
    const Engine& engine = *lines_[turn.line].engine;
    times.library = engine.library();
    times.handicap = engine.handicap();
    times.transport_ran = engine.wire();
    times.collective_ran = engine.algorithms()[turn.algorithm];
    for (size_t a = 0; a < turn.calibration_us.size(); ++a) {
      times.calibration.emplace_back(engine.algorithms()[a], turn.calibration_us[a]);
    }
    return times;
  }

  absl::StatusOr<std::vector<Turn>> TurnsOf(int64_t size_bytes, int64_t burst) const {
    std::vector<Turn> turns;
    size_t engine_line = bench_.transports.size();
    for (const BenchContender& contender : ContendersOf(bench_)) {
      Turn& turn = turns.emplace_back();
      turn.contender = contender;
      turn.size_bytes = size_bytes;
      turn.burst = burst;
      if (contender.engine != kOwnEngine) {
        turn.line = engine_line++;
        continue;
      }
      turn.line =
          std::find(bench_.transports.begin(), bench_.transports.end(), contender.transport) -
          bench_.transports.begin();
      RM_ASSIGN_OR_RETURN(
          turn.schedule,
          CreateSchedule(contender.collective, {contender.transport, seat_.ranks, size_bytes}));
    }
    return turns;
  }

  // Has another engine run all its algorithms, and keeps the one with the least median: the same on
  // all ranks.
  absl::Status Calibrate(Turn* turn) {
    if (turn->schedule != nullptr) return absl::OkStatus();
    const int32_t algorithms = static_cast<int32_t>(lines_[turn->line].engine->algorithms().size());
    if (algorithms == 1) return absl::OkStatus();
    for (turn->algorithm = 0; turn->algorithm < algorithms; ++turn->algorithm) {
      RM_RETURN_IF_ERROR(Take(*turn).status());
      const Clock::time_point begin = Clock::now();
      RM_RETURN_IF_ERROR(Take(*turn).status());
      std::vector<double> slowest = {SecondsSince(begin)};
      RM_RETURN_IF_ERROR(Slowest(&slowest));
      std::vector<double> seconds(static_cast<size_t>(std::clamp<double>(
          kSecondsOfCalibration / slowest[0], kCalibrationsMin, kCalibrationsMax)));
      for (double& taken : seconds) {
        RM_ASSIGN_OR_RETURN(taken, Take(*turn));
      }
      RM_RETURN_IF_ERROR(Slowest(&seconds));
      turn->calibration_us.push_back(1e6 * Median(std::move(seconds)));
    }
    turn->algorithm = static_cast<int32_t>(
        std::min_element(turn->calibration_us.begin(), turn->calibration_us.end()) -
        turn->calibration_us.begin());
    return absl::OkStatus();
  }

  // One iteration of a contender; this rank's seconds a call.
  absl::StatusOr<double> Take(const Turn& turn) {
    Line& line = lines_[turn.line];
    // The barrier is our own, over the same transport or the first.
    Line& gate = line.executor != nullptr ? line : lines_[0];
    const auto data = [&](int64_t call) {
      const int64_t begin = call * (Aligned(turn.size_bytes) / 4) + bench_.buffers.offset();
      return line.buffer.float_span().subspan(begin, turn.size_bytes / 4);
    };
    for (int64_t i = 0; i < turn.burst; ++i) pattern_.Fill(line.next_call + i, data(i));
    for (int64_t i = 0; i < turn.burst && bench_.buffers.is_cold(); ++i) TakeOutOfCaches(data(i));
    RM_RETURN_IF_ERROR(Named(gate.executor->Barrier(gate.next_step++, 0), turn));
    const Clock::time_point begin = Clock::now();
    for (int64_t i = 0; i < turn.burst; ++i)
      RM_RETURN_IF_ERROR(Named(Reduce(turn, &line, data(i)), turn));
    const double seconds = SecondsSince(begin);
    for (int64_t i = 0; i < turn.burst && !IsLimit(turn.contender); ++i)
      RM_RETURN_IF_ERROR(Named(pattern_.Check(line.next_call + i, data(i)), turn));
    line.next_call += turn.burst;
    return seconds / turn.burst;
  }

  static absl::Status Reduce(const Turn& turn, Line* line, absl::Span<float> floats) {
    if (line->engine != nullptr)
      return line->engine->AllReduce(turn.algorithm, floats.data(), floats);
    const absl::Span<std::byte> bytes(reinterpret_cast<std::byte*>(floats.data()),
                                      floats.size() * sizeof(float));
    return line->executor->AllReduce(*turn.schedule, line->next_step++, 0, ElementType::kFloat32,
                                     bytes);
  }

  absl::Status Slowest(std::vector<double>* seconds) {
    return TakeSlowest(*lines_[0].executor, lines_[0].next_step++, seconds);
  }

  absl::Status Named(const absl::Status& status, const Turn& turn) const {
    if (status.ok()) return status;
    const bool own = turn.schedule != nullptr;
    return Annotate(status,
                    absl::StrCat("all-reduce of ", FormatSize(turn.size_bytes), " over ",
                                 own ? turn.contender.transport : turn.contender.engine, " by ",
                                 own ? turn.schedule->name()
                                     : lines_[turn.line].engine->algorithms()[turn.algorithm],
                                 ", worker/", seat_.rank));
  }

  const AllReduceBench& bench_;
  const BenchSeat& seat_;
  const BenchPattern pattern_;

  // After a failure, operations that nobody waited for may touch these until the fabrics are gone:
  // those go first.
  std::vector<Line> lines_;  // by transport, then by engine that is not ours
  std::unique_ptr<BenchGroup> group_;
};

}  // namespace

std::vector<BenchContender> ContendersOf(const AllReduceBench& bench) {
  std::vector<BenchContender> contenders;
  if (HasOwn(bench)) {
    for (const std::string& transport : bench.transports) {
      for (const std::string& collective : bench.collectives)
        contenders.push_back({transport, collective});
    }
  }
  for (const std::string& engine : bench.engines) {
    if (engine != kOwnEngine) contenders.push_back({"", "best", engine});
  }
  return contenders;
}

std::string MpiLauncherOf(const AllReduceBench& bench) {
  for (const std::string& engine : bench.engines) {
    const absl::string_view launcher = EngineLauncherOf(engine);
    if (!launcher.empty()) return std::string(launcher);
  }
  return "";
}

int64_t BurstOf(int64_t burst, int64_t size_bytes) {
  return burst > 0 ? burst : std::clamp<int64_t>(kBurstBytes / size_bytes, 1, kBurstMax);
}

namespace {

absl::Status CheckEngines(const AllReduceBench& bench) {
  std::vector<EngineInfo> known(Engines().begin(), Engines().end());
  known.insert(known.begin(), {kOwnEngine, "", ""});
  known.push_back({kSocketLimit, "", ""});
  known.push_back({kSocketRounds, "", ""});
  RM_RETURN_IF_ERROR(CheckBenchNames("--engine and --against:", bench.engines, known));
  for (const std::string& engine : bench.engines) {
    if (engine != kOwnEngine && !IsLimit(engine)) RM_RETURN_IF_ERROR(CheckEngine(engine));
  }
  const std::string launcher = MpiLauncherOf(bench);
  for (const std::string& engine : bench.engines) {
    const absl::string_view other = EngineLauncherOf(engine);
    if (!other.empty() && other != launcher) {
      return absl::InvalidArgumentError(
          absl::StrCat("--engine ", absl::StrJoin(bench.engines, ","), ": ranks are started by ",
                       launcher, " or by ", other, ", and not by both; measure one MPI at a time"));
    }
  }
  if (!launcher.empty() && bench.transports.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--transport ", absl::StrJoin(bench.transports, ","),
                     " beside an MPI, which carries its bytes by what is like ours, and can be "
                     "started for one only; name one transport"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAllReduceBench(const AllReduceBench& bench, int64_t memory_bytes) {
  if (bench.workers < 2 || bench.workers > BenchPattern::kRanksMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--workers ", bench.workers, ": expected 2 to ", BenchPattern::kRanksMax));
  }
  RM_RETURN_IF_ERROR(CheckBenchTransports(bench.transports));
  RM_RETURN_IF_ERROR(CheckBenchNames("--collective", bench.collectives, CollectiveChoices()));
  RM_RETURN_IF_ERROR(CheckEngines(bench));
  const int64_t lines =
      HasOwn(bench) ? bench.transports.size() + bench.engines.size() - 1 : bench.engines.size();
  const int64_t needed = bench.workers * lines * BufferBytes(bench);
  if (memory_bytes > 0 && needed > memory_bytes / 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--sizes: the buffers of ", bench.workers, " workers on ", lines,
        " transports and engines need ", needed >> 20, " MiB, more than half of this machine's ",
        memory_bytes >> 20,
        " MiB; give smaller sizes, a smaller --burst, fewer workers, transports or engines"));
  }
  return absl::OkStatus();
}

absl::Status RunAllReduceRank(const AllReduceBench& bench, const BenchSeat& seat,
                              const std::function<void(const AllReduceResult&)>& sink) {
  return Rank(bench, seat).Run(sink);
}

}  // namespace ringmaster
