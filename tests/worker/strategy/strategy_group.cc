#include "tests/worker/strategy/strategy_group.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"
#include "tests/support/patience.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kLimit = Patience(60);

template <typename T>
T ValueOf(absl::StatusOr<T> value) {
  RM_CHECK(value.ok());
  return *std::move(value);
}

// Whether worker `rank` lives beside `peer`, so that what they exchange does not count.
bool IsLocal(const RunSpec& spec, int32_t rank, NodeId peer) {
  return TraitsOf(spec).servers_beside_workers && peer == NodeId{Role::kServer, rank};
}

}  // namespace

RunSpec GroupSpec(int32_t workers, float learning_rate) {
  RunSpec spec;
  spec.mutable_training()->set_workers(workers);
  spec.mutable_training()->set_steps(20);
  spec.mutable_training()->set_warmup_steps(0);
  spec.mutable_optimizer()->set_learning_rate(learning_rate);
  spec.mutable_limits()->set_wait_seconds(absl::ToDoubleSeconds(kLimit));
  return spec;
}

GroupWorker::GroupWorker(const RunSpec& spec, const ParamLayout& layout,
                         const std::vector<float>& initial_weights, int32_t rank, Fabric& fabric,
                         std::unique_ptr<MeteredTransport> transport, const GroupOptions& options)
    : rank_(rank),
      layout_(layout),
      transport_(std::move(transport)),
      above_(options.above_meter ? options.above_meter(*transport_) : nullptr),
      replica_(ValueOf(HostReplica::Create(spec, layout, rank, initial_weights, step_times_))),
      gradients_{ValueOf(fabric.AllocateExchange(layout.count() * sizeof(float))),
                 ValueOf(fabric.AllocateExchange(layout.count() * sizeof(float)))} {
  WorkerLink link;
  link.rank = rank;
  link.workers = spec.training().workers();
  link.servers = TraitsOf(spec).servers;
  link.spec = &spec;
  link.layout = &layout;
  link.replica = replica_.get();
  link.transport = above_ != nullptr ? above_.get() : transport_.get();
  link.step_times = &step_times_;
  strategy_ =
      ValueOf(options.create_strategy ? options.create_strategy(link) : CreateStrategy(link));
}

absl::Status GroupWorker::Compute(int64_t step, const GradientSource& source) {
  const absl::Span<float> arena = gradients_[step % 2].float_span();
  for (const Bucket& bucket : layout_.buckets()) {
    const absl::Span<float> gradient = arena.subspan(bucket.begin, bucket.count);
    source(rank_, step, bucket, gradient);
    RM_RETURN_IF_ERROR(strategy_->GradReady(step, bucket, BucketGradient::OnHost(gradient)));
  }
  return strategy_->EndStep(step);
}

absl::Status GroupWorker::Step(int64_t step, const GradientSource& source) {
  RM_RETURN_IF_ERROR(strategy_->BeginStep(step));
  return Compute(step, source);
}

absl::Status GroupWorker::Steps(int64_t begin, int64_t end, const GradientSource& source) {
  for (int64_t step = begin; step < end; ++step) {
    RM_ASSIGN_OR_RETURN(const int64_t next, strategy_->NextStep(step));
    skipped_ += std::min(next, end) - step;
    step = next;
    if (step < end) RM_RETURN_IF_ERROR(Step(step, source));
  }
  return absl::OkStatus();
}

ParamLayout GroupLayout(const RunSpec& spec, int64_t count, int64_t bucket_elements) {
  std::vector<Param> params;
  const auto add = [&params](std::vector<int64_t> shape) {
    Param param;
    param.name = absl::StrCat("weights.", params.size());
    param.shape = std::move(shape);
    params.push_back(std::move(param));
  };
  const BucketLayout layout = BucketLayoutOf(spec.training());
  if (layout == BucketLayout::kCut) {
    add({count});
    return ParamLayout(std::move(params), bucket_elements);
  }
  for (int64_t left = count; left > 0; left -= std::min(left, bucket_elements)) {
    const int64_t elements = std::min(left, bucket_elements);
    const auto rows = static_cast<int64_t>(std::sqrt(static_cast<double>(elements)));
    add({rows, elements / rows});
    if (elements % rows > 0) add({elements % rows});
  }
  return ParamLayout(std::move(params), bucket_elements, layout);
}

StrategyGroup::StrategyGroup(const RunSpec& spec, std::vector<float> initial_weights,
                             int64_t bucket_elements, const GroupOptions& options)
    : spec_(ValueOf(Resolve(spec, {}))),
      layout_(GroupLayout(spec_, initial_weights.size(), bucket_elements)) {
  RM_CHECK(Join(options.transport).ok());
  for (int32_t rank = 0; rank < spec_.training().workers(); ++rank) {
    const NodeId self{Role::kWorker, rank};
    Fabric& fabric = FabricOf(self);
    Transport* transport = &fabric.transport(self);
    if (options.below_meter) {
      below_.push_back(options.below_meter(*transport));
      transport = below_.back().get();
    }
    auto metered = CreateMeteredTransport(
        *transport, fabric, [this, rank](NodeId peer) { return IsLocal(spec_, rank, peer); });
    workers_.push_back(std::make_unique<GroupWorker>(spec_, layout_, initial_weights, rank, fabric,
                                                     std::move(metered), options));
  }
  for (int32_t server = 0; server < TraitsOf(spec_).servers; ++server) {
    const NodeId self{Role::kServer, server};
    Fabric& fabric = FabricOf(self);
    servers_.push_back(ValueOf(
        ShardService::Create(spec_, layout_, initial_weights, server, fabric.transport(self),
                             [&fabric](int64_t bytes) { return fabric.AllocateExchange(bytes); })));
  }
}

absl::Status StrategyGroup::Join(const std::string& transport) {
  const SchemeTraits traits = TraitsOf(spec_);
  std::vector<ProcessAddress> processes;
  const auto place = [&](NodeId node, int32_t process) {
    if (transport == "inproc") process = 0;
    if (static_cast<int32_t>(processes.size()) <= process) processes.resize(process + 1);
    processes[process].nodes.push_back(node);
    homes_[node] = process;
  };
  for (int32_t rank = 0; rank < spec_.training().workers(); ++rank)
    place({Role::kWorker, rank}, rank);
  const int32_t first = traits.servers_beside_workers ? 0 : spec_.training().workers();
  for (int32_t server = 0; server < traits.servers; ++server)
    place({Role::kServer, server}, first + server);

  FabricOptions options;
  options.name = transport;
  for (ProcessAddress& process : processes) {
    RM_ASSIGN_OR_RETURN(std::unique_ptr<Fabric> fabric, CreateFabric(options));
    process.endpoint = fabric->endpoint();
    fabrics_.push_back(std::move(fabric));
  }
  std::vector<absl::Status> statuses(fabrics_.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < fabrics_.size(); ++i) {
    threads.emplace_back([&, i] {
      statuses[i] =
          fabrics_[i]->Connect(processes, static_cast<int32_t>(i), MonotonicNow() + kLimit);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) RM_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

StrategyGroup::~StrategyGroup() {
  if (!finished_) Abort(absl::CancelledError("the group is closing"));
  FinishAll();
  fabrics_.clear();
}

void StrategyGroup::Abort(const absl::Status& status) {
  for (auto& fabric : fabrics_) fabric->Abort(status);
}

void StrategyGroup::FinishAll() {
  if (!std::exchange(finished_, true)) {
    for (auto& worker : workers_) {
      const ExchangeReport report = worker->strategy().Finish();
      encoded_bytes_.push_back(report.encoded_bytes);
      index_bytes_.push_back(report.index_bytes);
      distances_.push_back(report.consensus_distance);
    }
  }
  for (std::thread& thread : server_threads_) thread.join();
  server_threads_.clear();
}

void StrategyGroup::Note(const absl::Status& status) {
  if (status.ok()) return;
  {
    absl::MutexLock lock(&mutex_);
    if (failure_.ok()) failure_ = status;
  }
  Abort(status);
}

void StrategyGroup::StartServers() {
  for (auto& server : servers_) {
    server_threads_.emplace_back([this, service = server.get()] { Note(service->Run()); });
  }
}

absl::Status StrategyGroup::OnWorkers(const std::function<absl::Status(GroupWorker&)>& body) {
  std::vector<std::thread> threads;
  for (auto& worker : workers_) {
    threads.emplace_back([this, &body, worker = worker.get()] { Note(body(*worker)); });
  }
  for (std::thread& thread : threads) thread.join();
  absl::MutexLock lock(&mutex_);
  return failure_;
}

absl::Status StrategyGroup::Run(const std::function<absl::Status(GroupWorker&)>& body) {
  StartServers();
  OnWorkers(body).IgnoreError();
  FinishAll();
  absl::MutexLock lock(&mutex_);
  return failure_;
}

}  // namespace ringmaster
