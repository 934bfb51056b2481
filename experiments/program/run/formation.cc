#include "experiments/program/run/formation.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/check_context.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/log/log.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "common/transport/traced.h"
#include "experiments/program/run/activity.h"
#include "experiments/program/run/placement.h"
#include "worker/loop/evaluation_run.h"

namespace ringmaster {
namespace {

// Waits of a run are the coordinator's to judge (common/control/wait_judge.h): it knows who waits
// for whom, and its abort ends them. A limit of a rank's own is the last resort, where it judges
// nothing.
constexpr double kLastResortSeconds = 86400;

RunSpec WithoutOwnLimits(RunSpec spec) {
  spec.mutable_limits()->set_wait_seconds(kLastResortSeconds);
  return spec;
}

}  // namespace

Formation::Formation(const RunSpec& spec, const FormationPlace& place, const ProcessInputs& inputs,
                     std::unique_ptr<Fabric> fabric, std::vector<KeptNode>* kept)
    : spec_(spec),
      judged_spec_(WithoutOwnLimits(spec)),
      place_(place),
      inputs_(inputs),
      kept_(kept),
      processes_(PlaceNodes(spec)),
      name_(NamesOf(processes_[place.process])),
      traced_(TracedStepsOf(spec)),
      last_words_([this] { return ActivitiesAtTheEnd(); }),
      fabric_(std::move(fabric)) {
  const int32_t parked =
      TraitsOf(spec).updates == Updates::kOnArrival ? spec.training().workers() : 0;
  for (const NodeId& id : nodes()) {
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
  // Now, for nobody's clock runs before all have joined.
  for (size_t i = 0; i < servers_.size(); ++i) {
    const bool has_copies = kept != nullptr && !KeptOfServer(i)->marks.passed.empty();
    server_copies_.push_back(
        has_copies ? SnapshotStore() : ShardService::CopiesOf(spec_, *inputs_.layout, servers_[i]));
  }
}

void Formation::Welcomed(Clock::time_point now, const std::string& own_address) {
  welcomed_ = now;
  last_words_.Welcomed(now);
  if (own_address.empty()) return;
  for (RunSpec* spec : {&spec_, &judged_spec_})
    spec->mutable_transport()->set_listen_address(own_address);
}

void Formation::FormGroups(const Welcome& welcome) {
  const SchemeTraits traits = TraitsOf(spec_);
  if (!TakesGroupOrder(traits)) return;
  std::vector<int32_t> hosts(traits.workers);
  for (const ProcessEntry& process : welcome.processes()) {
    for (const NodeName& node : process.nodes())
      if (!node.server()) hosts[node.index()] = process.host();
  }
  const std::string order = FormedGroupOrder(spec_.strategy().group_order(), hosts);
  for (RunSpec* spec : {&spec_, &judged_spec_}) spec->mutable_strategy()->set_group_order(order);
}

absl::Status Formation::Connect(const Welcome& welcome, absl::Duration limit) {
  FormGroups(welcome);
  std::vector<ProcessAddress> addresses;
  for (int i = 0; i < welcome.processes_size(); ++i)
    addresses.push_back({welcome.processes(i).data_endpoint(), processes_[i]});
  RM_RETURN_IF_ERROR(fabric_->Connect(addresses, place_.process, MonotonicNow() + limit));
  connected_.store(true);
  Log(LogLevel::kDebug, absl::StrCat(name_, ": connected to all others by ", fabric_->name()));
  return absl::OkStatus();
}

absl::Status Formation::Run(ControlClient& client) {
  const ScopedProcessCheckContext context(name_,
                                          workers_.empty() ? nullptr : &progress_.front().step);
  ProcessConductor conductor(client, static_cast<int32_t>(workers_.size()));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < servers_.size(); ++i) {
    threads.emplace_back([this, i, &conductor, &client] {
      Note(Annotate(RunServer(i), absl::StrCat("server/", servers_[i])), &conductor, &client);
    });
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    threads.emplace_back(
        [this, i, &conductor, &client] { Note(RunWorker(i, &conductor), &conductor, &client); });
  }
  for (std::thread& thread : threads) thread.join();
  absl::MutexLock lock(&mutex_);
  return failure_;
}

absl::Status Formation::RunServer(size_t i) {
  const absl::Status status = Serve(i);
  last_words_.ServerEnds(servers_[i],
                         services_[i] == nullptr ? "" : services_[i]->DescribeParked());
  return status;
}

absl::Status Formation::Serve(size_t i) {
  const ScopedCheckContext context(absl::StrCat("server/", servers_[i]));
  absl::Status created;
  inputs_.initial_weights->Read([&](absl::Span<const float> weights) {
    auto service = ShardService::Create(judged_spec_, *inputs_.layout, weights, servers_[i],
                                        fabric_->transport({Role::kServer, servers_[i]}),
                                        ExchangeMemory(), server_traces_[i].get(),
                                        &server_copies_[i]);
    created = service.status();
    if (service.ok()) services_[i] = *std::move(service);
  });
  RM_RETURN_IF_ERROR(created);
  ShardService& service = *services_[i];
  KeptNode* const kept = KeptOfServer(i);
  if (place_.epoch == 0)
    RM_RETURN_IF_ERROR(ConnectServer(servers_[i], *inputs_.checkpoints, &service));
  if (kept != nullptr) {
    if (place_.epoch > 0 && kept->state) RM_RETURN_IF_ERROR(service.Take(*kept->state));
    if (kept->server) service.ReportAfter(*kept->server);
    service.TakeMarks(std::move(kept->marks));
    kept->marks = {};
    service.KeepStepsIn(&kept->steps);
  }
  RM_RETURN_IF_ERROR(service.Run());
  server_done_[i].store(true);
  server_reports_[i] = service.Report();
  return absl::OkStatus();
}

absl::Status Formation::RunWorker(size_t i, Conductor* conductor) {
  const int32_t rank = workers_[i];
  const ScopedCheckContext context(absl::StrCat("worker/", rank), &progress_[i].step);
  Worker& worker = worker_parts_[i];
  RM_ASSIGN_OR_RETURN(
      worker.parts,
      CreateWorkerParts(spec_, inputs_.dataset.train.shape,
                        {inputs_.device, rank, [conductor] { return conductor->status(); },
                         inputs_.hooks.SlownessOf(i), inputs_.own, &progress_[i].step}));
  const NodeId self{Role::kWorker, rank};
  worker.traced = CreateTracedTransport(fabric_->transport(self), worker_traces_[i]->exchange);
  worker.transport = CreateMeteredTransport(*worker.traced, *fabric_, [this, self](NodeId peer) {
    return AreColocated(spec_, self, peer);
  });
  WorkerSetup setup;
  setup.rank = rank;
  setup.device = inputs_.device;
  setup.spec = &judged_spec_;
  setup.dataset = &inputs_.dataset;
  setup.kernels = worker.parts.kernels.get();
  setup.model = worker.parts.model.get();
  setup.initial_weights = inputs_.initial_weights.get();
  setup.transport = worker.transport.get();
  setup.allocate_exchange = ExchangeMemory();
  setup.conductor = conductor;
  setup.progress = &progress_[i];
  setup.traces = worker_traces_[i].get();
  if (inputs_.own != nullptr) setup.on_trained = inputs_.own->trained;
  if (place_.epoch == 0)
    RM_RETURN_IF_ERROR(ConnectWorker(spec_, *inputs_.checkpoints, &worker.before, &setup));
  if (KeptNode* const kept = KeptOfWorker(i); kept != nullptr) GoOn(kept, &setup);
  inputs_.hooks.ConnectWorker(i, conductor, &setup);
  if (spec_.has_evaluation()) {
    RM_RETURN_IF_ERROR(RunEvaluation(setup, &reports_[i]));
  } else {
    RM_ASSIGN_OR_RETURN(worker.loop, TrainingLoop::Create(setup));
    RM_RETURN_IF_ERROR(worker.loop->Run(&reports_[i]));
  }
  progress_[i].done.store(true);
  return absl::OkStatus();
}

void Formation::GoOn(KeptNode* kept, WorkerSetup* setup) const {
  setup->kept_steps = &kept->steps;
  setup->kept_marks = &kept->marks;
  if (place_.epoch == 0) return;
  setup->first_step = place_.first_step;
  if (kept->state) setup->state = &*kept->state;
  if (kept->worker) setup->report_before = &*kept->worker;
  setup->clock_begin = kept->clock_begin;
  // Who has begun a step was in every checkpoint before it, and nobody is certain to have been in a
  // later one to its end.
  const int64_t every = spec_.training().checkpoint_every_steps();
  setup->scored_at = every == 0 ? 0 : place_.first_step / every * every;
}

absl::Status Formation::AddTo(ProcessReport* report) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (worker_parts_[i].loop == nullptr) continue;
    RM_ASSIGN_OR_RETURN(const int64_t bytes, worker_parts_[i].loop->StateBytes());
    reports_[i].set_state_bytes(bytes);
  }
  for (const WorkerReport& worker : reports_) *report->add_workers() = worker;
  for (const ServerReport& server : server_reports_) *report->add_servers() = server;
  Clock::time_point started;  // of the first worker here
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (traced_.count() > 0) worker_traces_[i]->AddTo(report);
    if (i == 0) started = worker_traces_[i]->started;
  }
  for (const auto& traces : server_traces_)
    if (traced_.count() > 0) traces->AddTo(report);
  *report->mutable_trace_clock() = ThisTraceClock(welcomed_, started);
  return absl::OkStatus();
}

void Formation::Release() {
  RM_CHECK(kept_ != nullptr);
  for (size_t i = 0; i < workers_.size(); ++i) {
    KeptNode& kept = *KeptOfWorker(i);
    Worker& worker = worker_parts_[i];
    if (worker.before.checkpoint != nullptr && !kept.state) {
      kept.state = std::move(worker.before.checkpoint->state);
      kept.worker = std::move(worker.before.report);
    }
    if (worker.loop == nullptr || worker.loop->clock_begin() == Clock::time_point()) continue;
    kept.worker = std::move(reports_[i]);
    kept.clock_begin = worker.loop->clock_begin();
  }
  for (size_t i = 0; i < servers_.size(); ++i) {
    if (services_[i] == nullptr) continue;
    KeptOfServer(i)->server = services_[i]->Report();
    KeptOfServer(i)->marks = services_[i]->ReleaseMarks();
  }
}

void Formation::Note(const absl::Status& status, ProcessConductor* conductor,
                     ControlClient* client) {
  if (status.ok()) return;
  {
    absl::MutexLock lock(&mutex_);
    if (!failure_.ok()) return;
    failure_ = status;
  }
  Log(LogLevel::kDebug, absl::StrCat(name_, ": fails: ", status.message()));
  End(status);
  conductor->Abort(status);
  client->Fail(status);
}

void Formation::End(const absl::Status& why) {
  last_words_.Take();
  fabric_->Abort(why);
  inputs_.hooks.Rouse();
}

Heartbeat Formation::MakeHeartbeat() {
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

std::vector<NodeActivity> Formation::ActivitiesAtTheEnd() {
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

NodeActivity Formation::WorkerActivity(size_t i, Activity exchange) {
  WorkerSight sight;
  sight.rank = workers_[i];
  sight.progress = &progress_[i];
  sight.exchange = std::move(exchange);
  if (!TraitsOf(spec_).engine.empty()) sight.engine_ranks = spec_.training().workers();
  return DescribeWorker(sight);
}

NodeActivity Formation::ServerActivity(size_t i, const Activity& exchange) {
  return DescribeServer(servers_[i], server_done_[i].load(), exchange);
}

Activity Formation::ActivityOf(NodeId id) {
  int64_t& moved = moved_[id];
  Activity activity = fabric_->transport(id).activity(moved);
  moved = activity.moved;
  return activity;
}

}  // namespace ringmaster
