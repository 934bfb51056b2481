#include "experiments/program/run/node.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/check_context.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/config/is_program.h"
#include "common/control/control_client.h"
#include "common/control/failures.h"
#include "common/control/joins.h"
#include "common/log/log.h"
#include "common/machine/confinement.h"
#include "common/machine/process_costs.h"
#include "common/scheme/registry.h"
#include "common/transport/fabric.h"
#include "experiments/program/run/formation.h"
#include "experiments/program/run/formations/formation_core.h"
#include "experiments/program/run/join_limit.h"
#include "experiments/program/run/lost_peers.h"
#include "experiments/program/run/network.h"
#include "experiments/program/run/node_checkpoints.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/run_inputs.h"
#include "experiments/program/run/worker_parts.h"
#include "server/shard_service.h"
#include "worker/data/dataset.h"
#include "worker/kernels/registry.h"
#include "worker/loop/initial_weights.h"

namespace ringmaster {
namespace {

// How long the last words of a process wait for its servers, which end when they hear of a failure,
// at the latest after the update under way.
constexpr absl::Duration kServersEndLimit = absl::Milliseconds(200);

// One process of a run: the formations that it is in, one after the other.
class Node {
 public:
  Node(const RunSpec& spec, const NodeOptions& options)
      : options_(options), kept_(MayReform(spec) ? PlaceNodes(spec)[options.process].size() : 0) {
    std::vector<NodeStates*> states;
    for (KeptNode& node : kept_) states.push_back(&node);
    core_.emplace(spec, options.process, std::move(states));
    name_ = NamesOf(nodes());
  }

  absl::Status Run() {
    const absl::Status prepared = Annotate(Prepare(), name_);
    if (!prepared.ok() && options_.is_led) Log(LogLevel::kError, prepared.message());
    RM_RETURN_IF_ERROR(prepared);
    RM_RETURN_IF_ERROR(Join());
    const double cpu_before = ProcessCpuSeconds();
    const ConfinementMeter confinement;
    absl::Status ran = RunFormation(cpu_before, confinement);
    // Another process is lost, and this one goes on with those left.
    while (client_->epoch() != place().epoch) {
      RM_RETURN_IF_ERROR(FormAnew());
      ran = RunFormation(cpu_before, confinement);
    }
    if (ran.ok() && options_.own != nullptr) options_.own->over();
    if (ran.ok()) return ran;
    const absl::Status of_the_run = client_->status();
    return of_the_run.ok() ? ran : of_the_run;
  }

 private:
  // Of a program's model nobody else knows them.
  absl::StatusOr<std::vector<float>> WeightsToStartFrom(const Model& model) const {
    if (!IsProgram(spec()) || !spec().training().init_weights().empty())
      return InitialWeights(spec(), model);
    std::vector<float> weights;
    if (options_.own != nullptr) weights = options_.own->take_weights();
    if (!weights.empty()) return weights;
    return absl::InvalidArgumentError(
        "nobody says which weights the program's model starts from: give its tensors their "
        "initial values; a server alone needs --init-weights FILE, on every rank");
  }

  // Everything that can fail before other processes are concerned: data, layout, initial weights, a
  // listening port.
  absl::Status Prepare() {
    if (has_workers() && IsProgram(spec()) != (options_.own != nullptr)) {
      return absl::InvalidArgumentError(
          IsProgram(spec())
              ? "a worker of a program is the program itself: start it, not `ringmaster node`"
              : absl::StrCat("the spec's model is \"", spec().model().name(),
                             "\", and this process is a program: expected model \"program\""));
    }
    SampleShape shape;
    if (!has_workers()) {
      int64_t train_count = 0;
      int64_t test_count = 0;
      RM_ASSIGN_OR_RETURN(shape, InspectDataset(spec().data(), &train_count, &test_count));
    } else {
      RM_ASSIGN_OR_RETURN(inputs_.dataset, LoadDataset(spec().data(), DatasetPartFor(spec())));
      shape = inputs_.dataset.train.shape;
      RM_ASSIGN_OR_RETURN(auto kernels,
                          CreateKernelLibrary(spec().training().kernels(), options_.device));
      inputs_.kernel_target = kernels->target();
    }
    inputs_.device = options_.device;
    inputs_.own = options_.own;
    if (options_.own != nullptr)
      inputs_.kernel_target = absl::StrCat("program ", options_.own->fingerprint);
    // Initial weights and layout come from the host's model (or a file) on every process: they do
    // not depend on the device.
    RM_ASSIGN_OR_RETURN(const WorkerParts host, CreateHostModel(spec(), shape));
    inputs_.layout = std::make_unique<ParamLayout>(host.model->layout());
    RM_ASSIGN_OR_RETURN(std::vector<float> weights, WeightsToStartFrom(*host.model));
    inputs_.weights_fingerprint = WeightsFingerprint(weights);
    // A group that is formed anew may begin at the beginning.
    inputs_.initial_weights = std::make_unique<SharedArena>(
        std::move(weights), static_cast<int32_t>(nodes().size()), /*keeps=*/MayReform(spec()));
    RM_ASSIGN_OR_RETURN(
        inputs_.checkpoints,
        RunCheckpoints::Open(
            spec(), {nodes(), options_.process == 0, options_.credentials.token,
                     absl::StrCat(inputs_.weights_fingerprint, " ", inputs_.layout->fingerprint(),
                                  " ", inputs_.dataset.facts.fingerprint())}));
    RM_RETURN_IF_ERROR(inputs_.hooks.Open(options_.hooks, nodes(), options_.coordinator));
    RM_ASSIGN_OR_RETURN(auto fabric, Listen());
    formation_ = std::make_unique<Formation>(spec(), place(), inputs_, std::move(fabric), kept());
    return absl::OkStatus();
  }

  // A data plane that listens.
  absl::StatusOr<std::unique_ptr<Fabric>> Listen() const {
    return CreateFabric(FabricOptionsOf(spec(), options_.credentials));
  }

  bool has_workers() const {
    return std::any_of(nodes().begin(), nodes().end(),
                       [](const NodeId& node) { return node.role == Role::kWorker; });
  }

  const RunSpec& spec() const { return core_->spec(); }
  const FormationPlace& place() const { return core_->place(); }
  const std::vector<NodeId>& nodes() const { return core_->nodes(); }
  std::vector<KeptNode>* kept() { return kept_.empty() ? nullptr : &kept_; }

  // What this process has read, beside its spec.
  RunInputs Inputs() const {
    RunInputs inputs;
    *inputs.mutable_data() = inputs_.dataset.facts;
    if (options_.own != nullptr) inputs.set_program(options_.own->fingerprint);
    if (!spec().training().init_weights().empty())
      inputs.set_init_weights(
          absl::StrCat(absl::Hex(inputs_.weights_fingerprint, absl::kZeroPad16)));
    return inputs;
  }

  absl::Status Join() {
    ringmaster::Join join;
    join.set_process(options_.process);
    join.set_processes(TraitsOf(spec()).processes);
    join.set_spec_fingerprint(SpecFingerprint(spec()));
    join.set_weights_fingerprint(inputs_.weights_fingerprint);
    join.set_layout_fingerprint(inputs_.layout->fingerprint());
    if (has_workers()) *join.mutable_data() = inputs_.dataset.facts;
    join.set_kernel_target(inputs_.kernel_target);
    join.set_data_endpoint(formation_->fabric().endpoint());
    SayWhoJoins(&join);
    for (const NodeId& id : nodes()) {
      NodeName* name = join.add_nodes();
      name->set_server(id.role == Role::kServer);
      name->set_index(id.index);
    }
    RM_ASSIGN_OR_RETURN(
        client_,
        ControlClient::Attend(
            options_.coordinator, options_.credentials, join, MonotonicNow() + JoinLimit(spec()),
            [this](const absl::Status& why) { EndExchange(why); },
            [this] { return MakeHeartbeat(); }, absl::Seconds(spec().limits().heartbeat_seconds()),
            options_.ends, [this] { return TellLastWords(); }, OnLoss()));
    inputs_.hooks.Joined();
    Log(LogLevel::kDebug, absl::StrCat(name_, ": joined, pid ", getpid()));
    return Connect();
  }

  // What hears of losses; where none is gone on from, nothing.
  std::function<void(const ToProcess&)> OnLoss() {
    if (GoesOn(spec())) {
      return [this](const ToProcess& message) {
        if (message.has_lost()) lost_peers_.Lose(message.lost().process());
      };
    }
    if (kept_.empty()) return nullptr;
    return [this](const ToProcess& message) {
      if (!message.has_regroup()) return;
      absl::MutexLock lock(&mutex_);
      // It may be that of the next formation that is here by now.
      if (epoch_ >= message.regroup().epoch()) return;
      EndExchangeLocked(StatusOf(message.regroup().why()));
    };
  }

  // The process was welcomed to the formation.
  absl::Status Connect() {
    const Welcome& welcome = client_->welcome();
    const std::string& own = welcome.processes(place().process).data_endpoint();
    std::string own_address;
    // Where every address is listened at, peers were told a real one; what opens sockets of its own
    // takes it too.
    if (IsWildcard(WithoutBrackets(spec().transport().listen_address())) && !own.empty()) {
      RM_ASSIGN_OR_RETURN(const HostPort endpoint, HostPort::Parse(own));
      own_address = endpoint.host;
    }
    formation_->Welcomed(Clock::now(), own_address);
    const absl::Status connected = formation_->Connect(welcome, JoinLimit(spec()));
    if (connected.ok()) {
      lost_peers_.Connected(formation_->fabric());
      return connected;
    }
    client_->Fail(Annotate(connected, absl::StrCat(name_, " connecting")));
    if (client_->epoch() != place().epoch) return absl::OkStatus();  // another process is lost
    const absl::Status of_the_run = client_->status();
    return of_the_run.ok() ? connected : of_the_run;
  }

  // Trains, and reports, unless a process is lost meanwhile.
  absl::Status RunFormation(double cpu_before, const ConfinementMeter& confinement) {
    if (client_->epoch() != place().epoch) return client_->status();
    RM_RETURN_IF_ERROR(formation_->Run(*client_));
    ProcessReport report;
    report.set_transport(formation_->fabric().name());
    if (has_workers()) *report.mutable_inputs() = Inputs();
    *report.mutable_confinement() = confinement.End();
    for (const NodeId& id : nodes()) report.mutable_confinement()->add_nodes(ToString(id));
    AddCosts(cpu_before, report.mutable_costs());
    RM_RETURN_IF_ERROR(formation_->AddTo(&report));
    AddCheckpointing(*inputs_.checkpoints, &report);
    return client_->Finish(report);
  }

  // What the process took; nothing is gone yet of it, nor of others, which wait to hear from all.
  void AddCosts(double cpu_before, MeasuredCosts* costs) const {
    if (!has_workers()) costs->set_cpu_seconds(ProcessCpuSeconds() - cpu_before);
    if (const auto pss = ProcessPssBytes()) costs->set_pss_bytes(*pss);
    if (const auto peak = ProcessPeakRssBytes()) costs->set_peak_rss_bytes(*peak);
  }

  // Gets ready for the formation that follows, and is in it when this returns.
  absl::Status FormAnew() {
    for (;;) {
      Ready ready;
      ready.set_epoch(client_->epoch());
      TakeDown();
      RM_ASSIGN_OR_RETURN(std::unique_ptr<Fabric> fabric, Listen());
      ready.set_data_endpoint(fabric->endpoint());
      for (const int64_t step : core_->StepsToGoOnFrom()) ready.add_steps(step);
      {
        absl::MutexLock lock(&mutex_);
        next_fabric_ = std::move(fabric);
        epoch_ = ready.epoch();
      }
      RM_ASSIGN_OR_RETURN(const bool is_formed, client_->AwaitFormation(ready));
      if (!is_formed) continue;
      RM_RETURN_IF_ERROR(GoOn());
      return Connect();
    }
  }

  // Ends what is left of the formation that has ended, but for what its nodes go on from.
  void TakeDown() {
    std::unique_ptr<Formation> formation;
    std::unique_ptr<Fabric> fabric;
    {
      absl::MutexLock lock(&mutex_);
      if (formation_ != nullptr) last_step_ = formation_->MakeHeartbeat().step();
      formation = std::move(formation_);
      fabric = std::move(next_fabric_);
    }
    if (formation != nullptr) formation->Release();
  }

  // The process is in the formation that it was welcomed to.
  absl::Status GoOn() {
    RM_RETURN_IF_ERROR(core_->GoOn(client_->welcome()));
    const std::string before = name_;
    name_ = NamesOf(nodes());
    Log(LogLevel::kDebug,
        absl::StrCat(before, ": goes on as ", name_, " before step ", place().first_step,
                     ", one of ", spec().training().workers(), " workers"));
    std::unique_ptr<Fabric> fabric;
    absl::MutexLock lock(&mutex_);
    fabric = std::move(next_fabric_);
    formation_ = std::make_unique<Formation>(spec(), place(), inputs_, std::move(fabric), kept());
    return absl::OkStatus();
  }

  // The run has failed, or the coordinator is gone: keeps what the nodes wait for, then lets go of
  // them.
  void EndExchange(const absl::Status& why) {
    absl::MutexLock lock(&mutex_);
    EndExchangeLocked(why);
  }
  void EndExchangeLocked(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (formation_ != nullptr) formation_->End(why);
    if (next_fabric_ != nullptr) next_fabric_->Abort(why);
  }

  Heartbeat MakeHeartbeat() {
    absl::MutexLock lock(&mutex_);
    if (formation_ != nullptr) return formation_->MakeHeartbeat();
    Heartbeat heartbeat;
    heartbeat.set_step(last_step_);
    heartbeat.set_phase("regroup");
    return heartbeat;
  }

  LastWords TellLastWords() {
    absl::MutexLock lock(&mutex_);
    return formation_ == nullptr ? LastWords() : formation_->TellLastWords(kServersEndLimit);
  }

  const NodeOptions options_;
  std::vector<KeptNode> kept_;         // by node; none: nobody goes back to a step
  std::optional<FormationCore> core_;  // always there
  std::string name_;                   // "worker/1+server/1"
  ProcessInputs inputs_;
  LostPeers lost_peers_;

  // The main thread makes and takes down what the client's threads look at.
  absl::Mutex mutex_;
  int32_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;                    // of what is here
  int64_t last_step_ ABSL_GUARDED_BY(mutex_) = 0;                // of the formation that has ended
  std::unique_ptr<Formation> formation_;                         // null: it waits for the next one
  std::unique_ptr<Fabric> next_fabric_ ABSL_GUARDED_BY(mutex_);  // of that, which listens
  std::unique_ptr<ControlClient> client_;  // destroyed before what its callbacks use
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
