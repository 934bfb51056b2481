#include "tests/fairness/in_process_run.h"

#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/control/dealing.h"
#include "common/scheme/registry.h"
#include "common/trace/node_traces.h"
#include "common/transport/fabric.h"
#include "common/transport/metered.h"
#include "common/transport/traced.h"
#include "experiments/program/run/node_checkpoints.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/worker_parts.h"
#include "proto/run_record.pb.h"
#include "server/shard_service.h"
#include "tests/support/patience.h"
#include "worker/data/dataset.h"
#include "worker/loop/initial_weights.h"
#include "worker/model/model.h"

namespace ringmaster {
namespace {

// Of a run that begins at step `first_step`; no ranks: its work is dealt.
ClaimRules ClaimsOf(const RunSpec& spec, int64_t first_step) {
  const int64_t lots = ClaimedLots(spec);
  if (lots == 0) return {};
  const int32_t workers = spec.training().workers();
  return {first_step * workers, lots, workers};
}

std::vector<NodeId> AllNodes(const RunSpec& spec) {
  std::vector<NodeId> nodes;
  for (const auto& process : PlaceNodes(spec))
    nodes.insert(nodes.end(), process.begin(), process.end());
  return nodes;
}

// Barriers of threads, and the lots that they claim.
class ThreadConductor : public Conductor {
 public:
  ThreadConductor(int32_t workers, const ClaimRules& claims) : workers_(workers), lots_(workers) {
    if (claims.ranks > 0) dealer_.emplace(claims);
  }

  absl::Status Barrier(absl::string_view name) override {
    absl::MutexLock lock(&mutex_);
    int32_t& arrived = arrived_[std::string(name)];
    ++arrived;
    const auto open = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return arrived == workers_ || !failure_.ok();
    };
    mutex_.Await(absl::Condition(&open));
    return failure_;
  }

  void AskForLots(int32_t rank, int32_t count) override {
    absl::MutexLock lock(&mutex_);
    const absl::StatusOr<LotClaim> claim = dealer_->Ask(rank, count);
    RM_CHECK(claim.ok());
    lots_[rank] = *claim;
  }

  absl::StatusOr<LotClaim> AwaitLots(int32_t rank) override {
    absl::MutexLock lock(&mutex_);
    RM_RETURN_IF_ERROR(failure_);
    return lots_[rank];
  }

  void ForgetLots(int32_t rank) override {}

  absl::Status status() override {
    absl::MutexLock lock(&mutex_);
    return failure_;
  }

  void Fail(const absl::Status& why) {
    absl::MutexLock lock(&mutex_);
    if (failure_.ok()) failure_ = why;
  }

 private:
  const int32_t workers_;
  absl::Mutex mutex_;
  // nodes of a map stay where they are
  std::map<std::string, int32_t> arrived_ ABSL_GUARDED_BY(mutex_);
  std::optional<ClaimDealer> dealer_ ABSL_GUARDED_BY(mutex_);
  std::vector<LotClaim> lots_ ABSL_GUARDED_BY(mutex_);  // by rank, the answer to its last question
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

class Cluster {
 public:
  Cluster(const RunSpec& spec, const RunSeams& seams)
      : spec_(spec),
        seams_(seams),
        conductor_(
            TrainingWorkers(spec),
            ClaimsOf(spec, seams.from == nullptr ? spec.output().resume_step() : seams.from->step)),
        workers_(TrainingWorkers(spec)) {}

  absl::StatusOr<std::vector<ProcessReport>> Run() {
    RM_ASSIGN_OR_RETURN(checkpoints_,
                        RunCheckpoints::Open(spec_, {AllNodes(spec_), true, NewToken(), "read"}));
    RM_RETURN_IF_ERROR(Prepare());
    std::vector<std::thread> threads;
    for (auto& service : services_) {
      threads.emplace_back([this, service = service.get()] { Note(service->Run()); });
    }
    for (size_t rank = 0; rank < workers_.size(); ++rank) {
      threads.emplace_back([this, rank] { Note(RunWorker(static_cast<int32_t>(rank))); });
    }
    for (std::thread& thread : threads) thread.join();
    RM_RETURN_IF_ERROR(conductor_.status());
    if (seams_.end != nullptr) RM_RETURN_IF_ERROR(GiveState());
    ProcessReport report;
    for (Worker& worker : workers_) *report.add_workers() = worker.report;
    for (auto& service : services_) *report.add_servers() = service->Report();
    if (seams_.reports_traces) {
      for (Worker& worker : workers_) worker.traces->AddTo(&report);
      for (const auto& traces : server_traces_) traces->AddTo(&report);
    }
    AddCheckpointing(*checkpoints_, &report);
    *report.mutable_trace_clock() = ThisTraceClock({}, workers_[0].traces->started);
    return std::vector<ProcessReport>{report};
  }

 private:
  absl::Status GiveState() {
    seams_.end->step = spec_.training().steps();
    for (Worker& worker : workers_) {
      RM_ASSIGN_OR_RETURN(State state, worker.loop->Give());
      seams_.end->workers.push_back(std::move(state));
    }
    for (auto& service : services_) {
      RM_ASSIGN_OR_RETURN(State state, service->Give());
      seams_.end->servers.push_back(std::move(state));
    }
    return absl::OkStatus();
  }

  struct Worker {
    RunSpec spec;
    Dataset dataset;
    std::unique_ptr<KernelLibrary> kernels;
    std::unique_ptr<Model> model;
    std::unique_ptr<SharedArena> initial_weights;
    std::unique_ptr<Transport> wrapped;
    std::unique_ptr<WorkerTraces> traces;
    std::unique_ptr<Transport> traced;
    std::unique_ptr<MeteredTransport> transport;
    WorkerBefore before;
    std::unique_ptr<TrainingLoop> loop;
    WorkerProgress progress;
    WorkerReport report;
  };

  absl::Status Prepare() {
    ProcessAddress all;
    all.nodes = AllNodes(spec_);
    FabricOptions options;
    options.name = "inproc";
    RM_ASSIGN_OR_RETURN(fabric_, CreateFabric(options));
    RM_RETURN_IF_ERROR(fabric_->Connect({all}, 0, MonotonicNow() + Patience(10)));
    for (size_t rank = 0; rank < workers_.size(); ++rank) {
      RM_RETURN_IF_ERROR(PrepareWorker(static_cast<int32_t>(rank)));
    }
    for (int32_t server = 0; server < TraitsOf(spec_).servers; ++server) {
      server_traces_.push_back(
          std::make_unique<ServerTraces>(server, TrainingWorkers(spec_), TracedStepsOf(spec_)));
      RM_ASSIGN_OR_RETURN(auto service,
                          ShardService::Create(spec_, workers_[0].model->layout(), initial_weights_,
                                               server, fabric_->transport({Role::kServer, server}),
                                               Buffer::AllocateHost, server_traces_.back().get()));
      if (seams_.from != nullptr) RM_RETURN_IF_ERROR(service->Take(seams_.from->servers[server]));
      RM_RETURN_IF_ERROR(ConnectServer(server, *checkpoints_, service.get()));
      services_.push_back(std::move(service));
    }
    return absl::OkStatus();
  }

  absl::Status PrepareWorker(int32_t rank) {
    Worker& worker = workers_[rank];
    worker.spec = spec_;
    if (seams_.edit) seams_.edit(rank, &worker.spec);
    RM_ASSIGN_OR_RETURN(worker.dataset,
                        LoadDataset(worker.spec.data(), DatasetPartFor(worker.spec)));
    const SampleShape& shape = worker.dataset.train.shape;
    if (seams_.create_kernels) {
      worker.kernels = seams_.create_kernels(rank);
      ModelOptions model;
      model.shape = shape;
      model.max_batch = LargestBatch(worker.spec.training().batch_per_worker(), shape);
      model.bucket_bytes = worker.spec.training().bucket_bytes();
      model.bucket_layout = BucketLayoutOf(worker.spec.training());
      RM_ASSIGN_OR_RETURN(worker.model, CreateModel(worker.spec.model(), model, *worker.kernels));
    } else {
      const auto status = [this] { return conductor_.status(); };
      RM_ASSIGN_OR_RETURN(WorkerParts parts,
                          CreateWorkerParts(worker.spec, shape, {0, rank, status}));
      worker.kernels = std::move(parts.kernels);
      worker.model = std::move(parts.model);
    }
    if (rank == 0) {
      RM_ASSIGN_OR_RETURN(initial_weights_, InitialWeights(spec_, *worker.model));
    }
    const NodeId self{Role::kWorker, rank};
    Transport* real = &fabric_->transport(self);
    if (seams_.wrap) worker.wrapped = seams_.wrap(rank, *real);
    worker.traces = std::make_unique<WorkerTraces>(rank, TracedStepsOf(spec_));
    worker.traced =
        CreateTracedTransport(worker.wrapped ? *worker.wrapped : *real, worker.traces->exchange);
    worker.transport = CreateMeteredTransport(*worker.traced, *fabric_, [this, self](NodeId peer) {
      return AreColocated(spec_, self, peer);
    });
    return absl::OkStatus();
  }

  absl::Status RunWorker(int32_t rank) {
    Worker& worker = workers_[rank];
    WorkerSetup setup;
    setup.rank = rank;
    setup.spec = &worker.spec;
    setup.dataset = &worker.dataset;
    setup.kernels = worker.kernels.get();
    setup.model = worker.model.get();
    worker.initial_weights = std::make_unique<SharedArena>(initial_weights_, 1);
    setup.initial_weights = worker.initial_weights.get();
    if (seams_.from != nullptr) {
      setup.first_step = seams_.from->step;
      setup.state = &seams_.from->workers[rank];
    }
    RM_RETURN_IF_ERROR(ConnectWorker(worker.spec, *checkpoints_, &worker.before, &setup));
    setup.transport = worker.transport.get();
    setup.conductor = &conductor_;
    setup.progress = &worker.progress;
    setup.create_strategy = seams_.create_strategy;
    setup.traces = worker.traces.get();
    RM_ASSIGN_OR_RETURN(worker.loop, TrainingLoop::Create(setup));
    RM_RETURN_IF_ERROR(worker.loop->Run(&worker.report));
    RM_ASSIGN_OR_RETURN(const int64_t state_bytes, worker.loop->StateBytes());
    worker.report.set_state_bytes(state_bytes);
    return absl::OkStatus();
  }

  // The first failure ends the run for all.
  void Note(const absl::Status& status) {
    if (status.ok()) return;
    conductor_.Fail(status);
    fabric_->Abort(status);
  }

  const RunSpec& spec_;
  const RunSeams& seams_;
  std::unique_ptr<RunCheckpoints> checkpoints_;
  ThreadConductor conductor_;
  std::vector<float> initial_weights_;
  std::vector<Worker> workers_;
  std::vector<std::unique_ptr<ServerTraces>> server_traces_;
  std::vector<std::unique_ptr<ShardService>> services_;
  std::unique_ptr<Fabric> fabric_;  // last: memory that it may touch outlives it
};

}  // namespace

RunRecord RunInProcess(const RunSpec& spec, const RunSeams& seams) {
  RunRecord record = NewRecord(spec);
  FillRecord(Cluster(spec, seams).Run(), &record);
  return record;
}

}  // namespace ringmaster
