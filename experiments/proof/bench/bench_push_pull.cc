#include "experiments/proof/bench/bench_push_pull.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/collective/executor.h"
#include "common/config/resolve.h"
#include "common/params/param_layout.h"
#include "common/tensor/tensor.h"
#include "common/trace/trace.h"
#include "common/transport/fabric.h"
#include "common/vecmath/vecmath.h"
#include "experiments/program/run/placement.h"
#include "experiments/proof/bench/bench_pattern.h"
#include "experiments/proof/bench/bench_sizes.h"
#include "experiments/proof/bench/bench_turns.h"
#include "server/shard_service.h"
#include "worker/loop/host_replica.h"
#include "worker/strategy/registry.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kWaitLimit = absl::Seconds(60);

// The run whose exchange is measured. With a rate of 1 new weights are the old ones less the sum,
// exactly.
RunSpec SpecOf(const PushPullBench& bench) {
  RunSpec spec;
  spec.mutable_training()->set_workers(bench.workers);
  spec.mutable_training()->set_steps(1);
  spec.mutable_training()->set_warmup_steps(0);
  spec.mutable_optimizer()->set_learning_rate(1.0f);
  ParameterServerSpec* ps = spec.mutable_strategy()->mutable_parameter_server();
  ps->set_servers(bench.servers);
  ps->set_placement(bench.colocated ? ParameterServerSpec::COLOCATED
                                    : ParameterServerSpec::DEDICATED);
  spec.mutable_limits()->set_wait_seconds(absl::ToDoubleSeconds(kWaitLimit));
  const absl::StatusOr<RunSpec> resolved = Resolve(spec, {});
  RM_CHECK(resolved.ok());  // it names its steps
  return *resolved;
}

ParamLayout LayoutOf(const PushPullBench& bench, int64_t size_bytes) {
  Param param;
  param.name = "values";
  param.shape = {size_bytes / 4};
  return ParamLayout({param}, bench.bucket_bytes > 0 ? bench.bucket_bytes / 4 : size_bytes / 4);
}

// One process. Calls come from one thread; servers have threads of their own.
class Process {
 public:
  Process(const PushPullBench& bench, const BenchSeat& seat)
      : bench_(bench),
        seat_(seat),
        spec_(SpecOf(bench)),
        layout_(LayoutOf(bench, bench.sizes[0])),
        pattern_(seat.rank < bench.workers ? seat.rank : 0, bench.workers),
        lines_(bench.transports.size()) {}

  absl::Status Run(const std::function<void(const PushPullResult&)>& sink) {
    RM_ASSIGN_OR_RETURN(group_, BenchGroup::Join(seat_, bench_.transports, bench_.wait));
    absl::Status status = Prepare();
    std::vector<std::thread> threads;
    if (status.ok()) {
      for (Line& line : lines_) {
        for (Server& server : line.servers) {
          threads.emplace_back([this, &line, &server] {
            server.status = server.service->Run();
            if (!server.status.ok()) FabricOf(line).Abort(server.status);
          });
        }
      }
      if (IsWorker()) status = Measure(sink);
    }
    if (!status.ok()) {
      for (Line& line : lines_) FabricOf(line).Abort(status);
    }
    for (Line& line : lines_) {
      if (line.strategy == nullptr) continue;
      const absl::Status finished = line.strategy->Finish().status;
      if (status.ok()) status = Named(finished, line);
    }
    for (std::thread& thread : threads) thread.join();
    for (const Line& line : lines_) {
      for (const Server& server : line.servers) {
        if (status.ok()) status = Named(server.status, line);
      }
    }
    return group_->Leave(status);
  }

 private:
  struct Server {
    std::unique_ptr<ShardService> service;
    absl::Status status;
  };
  // What a transport is used with.
  struct Line {
    std::vector<Server> servers;  // of this process
    // The rest is the worker's.
    PhaseTimes times;
    std::unique_ptr<HostReplica> replica;
    Buffer gradients[2];  // by step parity
    std::unique_ptr<SyncStrategy> strategy;
    std::unique_ptr<CollectiveExecutor> executor;  // between the workers, outside the clock
    int64_t next_tag = 0;                          // of the executor's
    int64_t next_step = 0;
  };

  bool IsWorker() const { return seat_.rank < bench_.workers; }
  size_t NumberOf(const Line& line) const { return &line - lines_.data(); }
  Fabric& FabricOf(const Line& line) { return group_->fabric(NumberOf(line)); }

  absl::Status Prepare() {
    for (Line& line : lines_) {
      const BufferAllocator allocate = [this, &line](int64_t bytes) {
        return FabricOf(line).AllocateExchange(bytes);
      };
      for (const NodeId& node : seat_.nodes[seat_.rank]) {
        if (node.role == Role::kWorker) continue;
        Server& server = line.servers.emplace_back();
        RM_ASSIGN_OR_RETURN(
            server.service,
            ShardService::Create(spec_, layout_, std::vector<float>(layout_.count(), 0.0f),
                                 node.index, group_->transport(NumberOf(line), node), allocate));
      }
      if (IsWorker()) RM_RETURN_IF_ERROR(PrepareWorker(allocate, &line));
    }
    return absl::OkStatus();
  }

  absl::Status PrepareWorker(const BufferAllocator& allocate, Line* line) {
    RM_ASSIGN_OR_RETURN(
        line->replica, HostReplica::Create(spec_, layout_, seat_.rank,
                                           std::vector<float>(layout_.count(), 0.0f), line->times));
    for (Buffer& gradient : line->gradients) {
      RM_ASSIGN_OR_RETURN(gradient,
                          allocate((layout_.count() + bench_.buffers.offset()) * sizeof(float)));
    }
    Transport& transport = group_->transport(NumberOf(*line));
    WorkerLink link;
    link.rank = seat_.rank;
    link.workers = bench_.workers;
    link.servers = bench_.servers;
    link.spec = &spec_;
    link.layout = &layout_;
    link.replica = line->replica.get();
    link.transport = &transport;
    link.step_times = &line->times;
    RM_ASSIGN_OR_RETURN(line->strategy, CreateStrategy(link));
    ExecutorOptions options;
    options.wait_limit = kWaitLimit;
    line->executor =
        std::make_unique<CollectiveExecutor>(transport, AllWorkers(bench_.workers), options);
    return line->strategy->BeginStep(0);
  }

  absl::Status Measure(const std::function<void(const PushPullResult&)>& sink) {
    double round_seconds = 0;  // of the last
    for (int64_t i = 0; i < bench_.warm_up; ++i) {
      const BenchClock::time_point begin = BenchClock::now();
      for (Line& line : lines_) RM_RETURN_IF_ERROR(Take(&line).status());
      round_seconds = SecondsSince(begin);
    }
    int64_t iterations = bench_.iterations;
    if (iterations == 0) {
      std::vector<double> slowest = {round_seconds};
      RM_RETURN_IF_ERROR(Slowest(&slowest));
      iterations = BenchIterations(slowest[0], lines_.size());
    }
    std::vector<double> seconds;  // [iterations, lines]
    seconds.reserve(iterations * lines_.size());
    for (int64_t i = 0; i < iterations; ++i) {
      for (Line& line : lines_) {
        RM_ASSIGN_OR_RETURN(const double taken, Take(&line));
        seconds.push_back(taken);
      }
    }
    RM_RETURN_IF_ERROR(Slowest(&seconds));
    if (seat_.rank != 0) return absl::OkStatus();
    PushPullResult result;
    result.size_bytes = bench_.sizes[0];
    result.buckets = layout_.buckets().size();
    for (size_t t = 0; t < lines_.size(); ++t) {
      PushPullTimes& times = result.transports.emplace_back();
      times.transport = bench_.transports[t];
      times.transport_ran = group_->fabric(t).name();
      for (int64_t i = 0; i < iterations; ++i)
        times.times_us.push_back(1e6 * seconds[i * lines_.size() + t]);
    }
    sink(result);
    return absl::OkStatus();
  }

  // One iteration of a transport; this worker's seconds. Even steps push the pattern with its sign
  // turned, odd ones the same as it is: so weights, which start at 0, are the pattern's sum and 0
  // in turn, and stay exact for ever.
  absl::StatusOr<double> Take(Line* line) {
    const int64_t step = line->next_step++;
    const absl::Span<float> gradient =
        line->gradients[step % 2].float_span().subspan(bench_.buffers.offset(), layout_.count());
    pattern_.Fill(step / 2, gradient);
    if (step % 2 == 0) Scale(-1.0f, gradient);
    if (bench_.buffers.is_cold()) TakeOutOfCaches(gradient);
    RM_RETURN_IF_ERROR(Named(line->executor->Barrier(line->next_tag++, 0), *line));
    const BenchClock::time_point begin = BenchClock::now();
    for (const Bucket& bucket : layout_.buckets()) {
      const auto of_bucket = BucketGradient::OnHost(gradient.subspan(bucket.begin, bucket.count));
      RM_RETURN_IF_ERROR(Named(line->strategy->GradReady(step, bucket, of_bucket), *line));
    }
    RM_RETURN_IF_ERROR(Named(line->strategy->EndStep(step), *line));
    RM_RETURN_IF_ERROR(Named(line->strategy->BeginStep(step + 1), *line));
    const double seconds = SecondsSince(begin);
    RM_RETURN_IF_ERROR(Named(CheckWeights(step, line->replica->weights().host()), *line));
    return seconds;
  }

  absl::Status CheckWeights(int64_t step, absl::Span<const float> weights) const {
    if (step % 2 == 0) return pattern_.Check(step / 2, weights);
    const auto wrong =
        std::find_if(weights.begin(), weights.end(), [](float weight) { return weight != 0; });
    if (wrong == weights.end()) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("wrong weight: element ", wrong - weights.begin(),
                                            " is ", *wrong, ", expected 0"));
  }

  absl::Status Slowest(std::vector<double>* seconds) {
    return TakeSlowest(*lines_[0].executor, lines_[0].next_tag++, seconds);
  }

  absl::Status Named(const absl::Status& status, const Line& line) const {
    if (status.ok()) return status;
    return Annotate(status, absl::StrCat("push and pull of ", FormatSize(bench_.sizes[0]), " over ",
                                         bench_.transports[NumberOf(line)], ", ",
                                         NamesOf(seat_.nodes[seat_.rank])));
  }

  const PushPullBench& bench_;
  const BenchSeat& seat_;
  const RunSpec spec_;
  const ParamLayout layout_;
  const BenchPattern pattern_;

  // After a failure, operations that nobody waited for may touch these until the fabrics are gone:
  // those go first.
  std::vector<Line> lines_;  // by transport
  std::unique_ptr<BenchGroup> group_;
};

}  // namespace

int64_t BucketsOf(const PushPullBench& bench, int64_t size_bytes) {
  return bench.bucket_bytes > 0 ? CeilDiv(size_bytes, bench.bucket_bytes) : 1;
}

std::vector<std::vector<NodeId>> PushPullNodes(const PushPullBench& bench) {
  return PlaceNodes(SpecOf(bench));
}

absl::Status CheckPushPullBench(const PushPullBench& bench, int64_t memory_bytes) {
  if (bench.workers < 1 || bench.workers > BenchPattern::kRanksMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--workers ", bench.workers, ": expected 1 to ", BenchPattern::kRanksMax));
  }
  const int32_t servers_max = bench.colocated ? bench.workers : BenchPattern::kRanksMax;
  if (bench.servers < 1 || bench.servers > servers_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("--servers ", bench.servers, ": expected 1 to ", servers_max,
                     bench.colocated ? ", one beside each worker at most" : ""));
  }
  RM_RETURN_IF_ERROR(CheckBenchTransports(bench.transports));
  if (bench.bucket_bytes < 0 || bench.bucket_bytes % 4 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--bucket-bytes ", bench.bucket_bytes, ": expected a multiple of 4, or 0 for one bucket"));
  }
  int64_t largest = 0;
  for (const int64_t size : bench.sizes) {
    largest = std::max(largest, size);
    if (BucketsOf(bench, size) > 4096) {
      return absl::InvalidArgumentError(
          absl::StrCat("--bucket-bytes ", bench.bucket_bytes, ": ", FormatSize(size),
                       " would be cut into more than 4096 buckets; give larger ones"));
    }
  }
  // A worker has two gradients and two copies of the weights; the servers together the weights, the
  // sum and what each worker pushes.
  const int64_t needed =
      static_cast<int64_t>(bench.transports.size()) * (5 * bench.workers + 2) * largest;
  if (memory_bytes > 0 && needed > memory_bytes / 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--sizes: the buffers of ", bench.workers, " workers on ", bench.transports.size(),
        " transports need ", needed >> 20, " MiB, more than half of this machine's ",
        memory_bytes >> 20, " MiB; give smaller sizes, fewer workers or fewer transports"));
  }
  return absl::OkStatus();
}

absl::Status RunPushPullProcess(const PushPullBench& bench, const BenchSeat& seat,
                                const std::function<void(const PushPullResult&)>& sink) {
  RM_CHECK(bench.sizes.size() == 1);
  return Process(bench, seat).Run(sink);
}

}  // namespace ringmaster
