#include "experiments/program/run/node.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/check_context.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/control/control_client.h"
#include "common/control/joins.h"
#include "common/exchange/snapshot_store.h"
#include "common/log/log.h"
#include "common/machine/confinement.h"
#include "common/machine/process_costs.h"
#include "common/scheme/registry.h"
#include "common/tensor/tensor.h"
#include "common/trace/node_traces.h"
#include "common/transport/fabric.h"
#include "common/transport/metered.h"
#include "common/transport/traced.h"
#include "experiments/program/run/activity.h"
#include "experiments/program/run/join_limit.h"
#include "experiments/program/run/last_words_keeper.h"
#include "experiments/program/run/network.h"
#include "experiments/program/run/node_checkpoints.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/process_conductor.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/run_inputs.h"
#include "experiments/program/run/turns.h"
#include "experiments/program/run/worker_parts.h"
#include "server/shard_service.h"
#include "worker/data/dataset.h"
#include "worker/kernels/registry.h"
#include "worker/loop/evaluation_run.h"
#include "worker/loop/initial_weights.h"
#include "worker/loop/training_loop.h"

namespace ringmaster {
namespace {

// Waits of a run are the coordinator's to judge (common/control/wait_judge.h): it knows who waits
// for whom, and its abort ends them. A limit of a rank's own is the last resort, where it judges
// nothing.
constexpr double kLastResortSeconds = 86400;

// How long the last words of a process wait for its servers, which end when they hear of a failure,
// at the latest after the update under way.
constexpr absl::Duration kServersEndLimit = absl::Milliseconds(200);

RunSpec WithoutOwnLimits(RunSpec spec) {
  spec.mutable_limits()->set_wait_seconds(kLastResortSeconds);
  return spec;
}

// One process of a run.
class Node {
 public:
  Node(const RunSpec& spec, const NodeOptions& options)
      : spec_(spec),
        judged_spec_(WithoutOwnLimits(spec)),
        options_(options),
        processes_(PlaceNodes(spec)),
        name_(NamesOf(processes_[options.process])),
        traced_(TracedStepsOf(spec)),
        last_words_([this] { return ActivitiesAtTheEnd(); }) {
    const int32_t parked =
        TraitsOf(spec).updates == Updates::kOnArrival ? spec.training().workers() : 0;
    for (const NodeId& id : processes_[options.process]) {
      if (id.role == Role::kWorker) {
        workers_.push_back(id.index);
        progress_.emplace_back();
        worker_traces_.push_back(std::make_unique<WorkerTraces>(id.index, traced_));
        last_words_.AddWorker(id.index, *worker_traces_.back());
      } else {
        servers_.push_back(id.index);
        server_done_.emplace_back(false);
        server_traces_.push_back(std::make_unique<ServerTraces>(id.index, parked, traced_));
        last_words_.AddServer(id.index, *server_traces_.back());
      }
    }
    worker_parts_.resize(workers_.size());
    services_.resize(servers_.size());
    reports_.resize(workers_.size());
    server_reports_.resize(servers_.size());
  }

  absl::Status Run() {
    const ScopedProcessCheckContext context(name_,
                                            workers_.empty() ? nullptr : &progress_.front().step);
    const absl::Status prepared = Annotate(Prepare(), name_);
    if (!prepared.ok() && options_.is_led) Log(LogLevel::kError, prepared.message());
    RM_RETURN_IF_ERROR(prepared);
    RM_RETURN_IF_ERROR(Join());
    const double cpu_before = ProcessCpuSeconds();
    const ConfinementMeter confinement;
    RunThreads();
    {
      absl::MutexLock lock(&mutex_);
      if (!failure_.ok()) {
        const absl::Status of_the_run = client_->status();
        return of_the_run.ok() ? failure_ : of_the_run;
      }
    }
    ProcessReport report;
    report.set_transport(fabric_->name());
    if (!workers_.empty()) *report.mutable_inputs() = Inputs();
    *report.mutable_confinement() = confinement.End();
    for (const NodeId& id : processes_[options_.process])
      report.mutable_confinement()->add_nodes(ToString(id));
    AddCosts(cpu_before, report.mutable_costs());
    RM_RETURN_IF_ERROR(NoteStateBytes());
    for (const WorkerReport& worker : reports_) *report.add_workers() = worker;
    for (const ServerReport& server : server_reports_) *report.add_servers() = server;
    AddTraces(&report);
    AddCheckpointing(*checkpoints_, &report);
    return client_->Finish(report);
  }

 private:
  // What a worker trains with, in the order in which one part uses the others.
  struct Worker {
    WorkerParts parts;
    std::unique_ptr<Transport> traced;
    std::unique_ptr<MeteredTransport> transport;
    WorkerBefore before;
    std::unique_ptr<TrainingLoop> loop;
  };

  // Everything that can fail before other processes are concerned: data, layout, initial weights, a
  // listening port.
  absl::Status Prepare() {
    SampleShape shape;
    if (workers_.empty()) {
      int64_t train_count = 0;
      int64_t test_count = 0;
      RM_ASSIGN_OR_RETURN(shape, InspectDataset(spec_.data(), &train_count, &test_count));
    } else {
      RM_ASSIGN_OR_RETURN(dataset_, LoadDataset(spec_.data(), DatasetPartFor(spec_)));
      shape = dataset_.train.shape;
      RM_ASSIGN_OR_RETURN(auto kernels,
                          CreateKernelLibrary(spec_.training().kernels(), options_.device));
      kernel_target_ = kernels->target();
    }
    // Initial weights and layout come from the host's model (or a file) on every process: they do
    // not depend on the device.
    RM_ASSIGN_OR_RETURN(const WorkerParts host, CreateHostModel(spec_, shape));
    layout_ = std::make_unique<ParamLayout>(host.model->layout());
    RM_ASSIGN_OR_RETURN(initial_weights_, InitialWeights(spec_, *host.model));
    weights_fingerprint_ = WeightsFingerprint(initial_weights_);
    RM_ASSIGN_OR_RETURN(
        checkpoints_,
        RunCheckpoints::Open(spec_,
                             {processes_[options_.process], options_.process == 0, options_.token,
                              absl::StrCat(weights_fingerprint_, " ", layout_->fingerprint(), " ",
                                           dataset_.facts.fingerprint())}));
    // Now, for nobody's clock runs before all have joined.
    for (const int32_t index : servers_)
      server_copies_.push_back(ShardService::CopiesOf(spec_, *layout_, index));

    FabricOptions fabric;
    fabric.name = spec_.transport().name();
    fabric.listen_address = spec_.transport().listen_address();
    fabric.token = options_.token;
    fabric.segment_bytes = spec_.transport().segment_bytes();
    fabric.wait = spec_.transport().wait();
    fabric.network = NetworkOf(spec_);
    if (!options_.turns.empty()) {
      RM_ASSIGN_OR_RETURN(turns_, TurnTaker::Open(options_.turns));
    }
    RM_ASSIGN_OR_RETURN(fabric_, CreateFabric(fabric));
    return absl::OkStatus();
  }

  // What this process has read, beside its spec.
  RunInputs Inputs() const {
    RunInputs inputs;
    *inputs.mutable_data() = dataset_.facts;
    if (!spec_.training().init_weights().empty())
      inputs.set_init_weights(absl::StrCat(absl::Hex(weights_fingerprint_, absl::kZeroPad16)));
    return inputs;
  }

  absl::Status Join() {
    ringmaster::Join join;
    join.set_process(options_.process);
    join.set_processes(static_cast<int32_t>(processes_.size()));
    join.set_token(options_.token);
    join.set_spec_fingerprint(SpecFingerprint(spec_));
    join.set_weights_fingerprint(weights_fingerprint_);
    join.set_layout_fingerprint(layout_->fingerprint());
    if (!workers_.empty()) *join.mutable_data() = dataset_.facts;
    join.set_kernel_target(kernel_target_);
    join.set_data_endpoint(fabric_->endpoint());
    SayWhoJoins(&join);
    for (const NodeId& id : processes_[options_.process]) {
      NodeName* name = join.add_nodes();
      name->set_server(id.role == Role::kServer);
      name->set_index(id.index);
    }
    const absl::Duration limit = JoinLimit(spec_);
    RM_ASSIGN_OR_RETURN(
        client_,
        ControlClient::Attend(
            options_.coordinator, join, MonotonicNow() + limit,
            [this](const absl::Status& why) { EndExchange(why); },
            [this] { return MakeHeartbeat(); }, absl::Seconds(spec_.limits().heartbeat_seconds()),
            options_.ends, [this] { return last_words_.Tell(kServersEndLimit); }));
    welcomed_ = Clock::now();
    last_words_.Welcomed(welcomed_);
    Log(LogLevel::kDebug, absl::StrCat(name_, ": joined, pid ", getpid()));
    RM_RETURN_IF_ERROR(NoteAddress());
    std::vector<ProcessAddress> addresses;
    for (int i = 0; i < client_->welcome().processes_size(); ++i) {
      addresses.push_back({client_->welcome().processes(i).data_endpoint(), processes_[i]});
    }
    const absl::Status connected =
        fabric_->Connect(addresses, options_.process, MonotonicNow() + limit);
    connected_.store(connected.ok());
    if (connected.ok()) {
      Log(LogLevel::kDebug, absl::StrCat(name_, ": connected to all others by ", fabric_->name()));
      return connected;
    }
    client_->Fail(Annotate(connected, absl::StrCat(name_, " connecting")));
    const absl::Status of_the_run = client_->status();
    return of_the_run.ok() ? connected : of_the_run;
  }

  // Where every address is listened at, peers were told a real one; what opens sockets of its own
  // takes it too.
  absl::Status NoteAddress() {
    if (!IsWildcard(WithoutBrackets(spec_.transport().listen_address()))) return absl::OkStatus();
    const std::string& own = client_->welcome().processes(options_.process).data_endpoint();
    if (own.empty()) return absl::OkStatus();
    RM_ASSIGN_OR_RETURN(const HostPort endpoint, HostPort::Parse(own));
    for (RunSpec* spec : {&spec_, &judged_spec_})
      spec->mutable_transport()->set_listen_address(endpoint.host);
    return absl::OkStatus();
  }

  void RunThreads() {
    ProcessConductor conductor(*client_, static_cast<int32_t>(workers_.size()));
    std::vector<std::thread> threads;
    for (size_t i = 0; i < servers_.size(); ++i) {
      threads.emplace_back([this, i, &conductor] {
        Note(Annotate(RunServer(i), absl::StrCat("server/", servers_[i])), &conductor);
      });
    }
    for (size_t i = 0; i < workers_.size(); ++i) {
      threads.emplace_back([this, i, &conductor] { Note(RunWorker(i, &conductor), &conductor); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  absl::Status RunServer(size_t i) {
    const absl::Status status = Serve(i);
    last_words_.ServerEnds(servers_[i],
                           services_[i] == nullptr ? "" : services_[i]->DescribeParked());
    return status;
  }

  absl::Status Serve(size_t i) {
    const ScopedCheckContext context(absl::StrCat("server/", servers_[i]));
    RM_ASSIGN_OR_RETURN(
        services_[i],
        ShardService::Create(judged_spec_, *layout_, initial_weights_, servers_[i],
                             fabric_->transport({Role::kServer, servers_[i]}), ExchangeMemory(),
                             server_traces_[i].get(), &server_copies_[i]));
    RM_RETURN_IF_ERROR(ConnectServer(servers_[i], *checkpoints_, services_[i].get()));
    RM_RETURN_IF_ERROR(services_[i]->Run());
    server_done_[i].store(true);
    server_reports_[i] = services_[i]->Report();
    return absl::OkStatus();
  }

  absl::Status RunWorker(size_t i, Conductor* conductor) {
    const int32_t rank = workers_[i];
    const ScopedCheckContext context(absl::StrCat("worker/", rank), &progress_[i].step);
    Worker& worker = worker_parts_[i];
    RM_ASSIGN_OR_RETURN(
        worker.parts,
        CreateWorkerParts(spec_, dataset_.train.shape,
                          {options_.device, rank, [conductor] { return conductor->status(); }}));
    const NodeId self{Role::kWorker, rank};
    worker.traced = CreateTracedTransport(fabric_->transport(self), worker_traces_[i]->exchange);
    worker.transport = CreateMeteredTransport(*worker.traced, *fabric_, [this, self](NodeId peer) {
      return AreColocated(spec_, self, peer);
    });
    WorkerSetup setup;
    setup.rank = rank;
    setup.device = options_.device;
    setup.spec = &judged_spec_;
    setup.dataset = &dataset_;
    setup.kernels = worker.parts.kernels.get();
    setup.model = worker.parts.model.get();
    setup.initial_weights = &initial_weights_;
    setup.transport = worker.transport.get();
    setup.allocate_exchange = ExchangeMemory();
    setup.conductor = conductor;
    setup.progress = &progress_[i];
    setup.traces = worker_traces_[i].get();
    RM_RETURN_IF_ERROR(ConnectWorker(spec_, *checkpoints_, &worker.before, &setup));
    if (turns_ != nullptr) {
      setup.before_step = [this, rank, conductor](int64_t step) {
        return turns_->Await(rank, step, [conductor] { return conductor->status(); });
      };
    }
    if (spec_.has_evaluation()) {
      RM_RETURN_IF_ERROR(RunEvaluation(setup, &reports_[i]));
    } else {
      RM_ASSIGN_OR_RETURN(worker.loop, TrainingLoop::Create(setup));
      RM_RETURN_IF_ERROR(worker.loop->Run(&reports_[i]));
    }
    progress_[i].done.store(true);
    return absl::OkStatus();
  }

  // What the process took; nothing is gone yet of it, nor of others, which wait to hear from all.
  void AddCosts(double cpu_before, MeasuredCosts* costs) const {
    if (workers_.empty()) costs->set_cpu_seconds(ProcessCpuSeconds() - cpu_before);
    if (const auto pss = ProcessPssBytes()) costs->set_pss_bytes(*pss);
    if (const auto peak = ProcessPeakRssBytes()) costs->set_peak_rss_bytes(*peak);
  }

  // After AddCosts: counting copies what is counted.
  absl::Status NoteStateBytes() {
    for (size_t i = 0; i < workers_.size(); ++i) {
      if (worker_parts_[i].loop == nullptr) continue;
      RM_ASSIGN_OR_RETURN(const int64_t bytes, worker_parts_[i].loop->StateBytes());
      reports_[i].set_state_bytes(bytes);
    }
    return absl::OkStatus();
  }

  // What the threads, which have ended, recorded, and of which clock all times are.
  void AddTraces(ProcessReport* report) const {
    Clock::time_point started;  // of worker 0
    for (size_t i = 0; i < workers_.size(); ++i) {
      if (traced_.count() > 0) worker_traces_[i]->AddTo(report);
      if (workers_[i] == 0) started = worker_traces_[i]->started;
    }
    for (const auto& traces : server_traces_)
      if (traced_.count() > 0) traces->AddTo(report);
    *report->mutable_trace_clock() = ThisTraceClock(welcomed_, started);
  }

  // Memory that the fabric moves fastest. Its buffers outlive the fabric, its use does not: only to
  // be called while the fabric is there.
  BufferAllocator ExchangeMemory() {
    return [this](int64_t size_bytes) { return fabric_->AllocateExchange(size_bytes); };
  }

  // Keeps the first failure of this process, wakes its other threads with it and reports it at
  // once.
  void Note(const absl::Status& status, ProcessConductor* conductor) {
    if (status.ok()) return;
    {
      absl::MutexLock lock(&mutex_);
      if (!failure_.ok()) return;
      failure_ = status;
    }
    Log(LogLevel::kDebug, absl::StrCat(name_, ": fails: ", status.message()));
    EndExchange(status);
    conductor->Abort(status);
    client_->Fail(status);
  }

  // The run has failed: keeps what the nodes wait for, then lets go of them.
  void EndExchange(const absl::Status& why) {
    last_words_.Take();
    fabric_->Abort(why);
    if (turns_ != nullptr) turns_->Rouse();
  }

  Heartbeat MakeHeartbeat() {
    Heartbeat heartbeat;
    // Before that no node has a transport, and the coordinator's limit for joining is the only one.
    if (connected_.load()) {
      for (size_t i = 0; i < workers_.size(); ++i)
        *heartbeat.add_nodes() = WorkerActivity(i, ActivityOf({Role::kWorker, workers_[i]}));
      for (size_t i = 0; i < servers_.size(); ++i)
        *heartbeat.add_nodes() = ServerActivity(i, ActivityOf({Role::kServer, servers_[i]}));
    }
    if (progress_.empty()) {
      heartbeat.set_phase("serve");
      return heartbeat;
    }
    const WorkerProgress& first = progress_.front();
    heartbeat.set_step(first.step);
    heartbeat.set_phase(first.phase.load());
    heartbeat.set_bucket(first.bucket);
    heartbeat.set_loss(first.loss);
    heartbeat.set_samples_per_second(first.samples_per_second);
    heartbeat.set_test_accuracy(first.test_accuracy);
    heartbeat.set_scored_marks(first.scored_marks);
    return heartbeat;
  }

  // What all nodes do and wait for; none before they can do anything.
  std::vector<NodeActivity> ActivitiesAtTheEnd() {
    std::vector<NodeActivity> activities;
    if (!connected_.load()) return activities;
    // A transport tells its waits to who knows how far it is.
    const auto waits_of = [this](NodeId id) {
      Transport& transport = fabric_->transport(id);
      return transport.activity(transport.activity(-1).moved);
    };
    for (size_t i = 0; i < workers_.size(); ++i)
      activities.push_back(WorkerActivity(i, waits_of({Role::kWorker, workers_[i]})));
    for (size_t i = 0; i < servers_.size(); ++i)
      activities.push_back(ServerActivity(i, waits_of({Role::kServer, servers_[i]})));
    return activities;
  }

  NodeActivity WorkerActivity(size_t i, Activity exchange) {
    WorkerSight sight;
    sight.rank = workers_[i];
    sight.progress = &progress_[i];
    sight.exchange = std::move(exchange);
    if (!TraitsOf(spec_).engine.empty()) sight.engine_ranks = spec_.training().workers();
    return DescribeWorker(sight);
  }

  NodeActivity ServerActivity(size_t i, const Activity& exchange) {
    return DescribeServer(servers_[i], server_done_[i].load(), exchange);
  }

  Activity ActivityOf(NodeId id) {
    int64_t& moved = moved_[id];
    Activity activity = fabric_->transport(id).activity(moved);
    moved = activity.moved;
    return activity;
  }

  // Both are as they were given, but for the address to listen at.
  RunSpec spec_;
  RunSpec judged_spec_;  // for those who wait
  const NodeOptions options_;
  const std::vector<std::vector<NodeId>> processes_;
  const std::string name_;  // "worker/1+server/1"
  const TracedSteps traced_;
  std::vector<int32_t> workers_;
  std::vector<int32_t> servers_;

  Dataset dataset_;
  std::string kernel_target_;
  std::unique_ptr<ParamLayout> layout_;
  std::unique_ptr<TurnTaker> turns_;  // null: nobody grants steps
  std::unique_ptr<RunCheckpoints> checkpoints_;
  std::vector<float> initial_weights_;
  uint64_t weights_fingerprint_ = 0;

  std::deque<WorkerProgress> progress_;  // by worker; atomics do not move
  std::vector<WorkerReport> reports_;
  std::vector<ServerReport> server_reports_;
  std::vector<std::unique_ptr<WorkerTraces>> worker_traces_;  // by worker
  std::vector<std::unique_ptr<ServerTraces>> server_traces_;  // by server
  LastWordsKeeper last_words_;
  Clock::time_point welcomed_;  // to the run, like all other processes

  // After a failure, operations that nobody waited for may touch these until the fabric is gone: it
  // goes first.
  std::vector<Worker> worker_parts_;
  std::vector<SnapshotStore> server_copies_;  // until the service has them
  std::vector<std::unique_ptr<ShardService>> services_;

  std::unique_ptr<Fabric> fabric_;
  std::atomic<bool> connected_{false};
  std::deque<std::atomic<bool>> server_done_;   // by server
  absl::flat_hash_map<NodeId, int64_t> moved_;  // the heartbeat's: what each transport said last
  std::unique_ptr<ControlClient> client_;  // destroyed before the fabric its abort callback uses

  absl::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status RunNode(const RunSpec& spec, const NodeOptions& options) {
  const int32_t processes = TraitsOf(spec).processes;
  if (options.process < 0 || options.process >= processes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rank ", options.process, " does not exist: this spec has ranks 0 to ", processes - 1));
  }
  return Node(spec, options).Run();
}

}  // namespace ringmaster
