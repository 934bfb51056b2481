#include "experiments/proof/bench/bench_group.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/control/coordinator.h"
#include "common/control/joins.h"
#include "experiments/program/run/children.h"
#include "experiments/program/run/descriptors.h"
#include "experiments/program/run/job_credentials.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/mpirun.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/run_arm.h"

namespace ringmaster {
namespace {

constexpr char kLoopback[] = "127.0.0.1";
constexpr absl::Duration kJoinLimit = absl::Seconds(30);
// The coordinator's limit for joining ends first and names who is missing; a process only gives up
// after it.
constexpr absl::Duration kJoinGrace = absl::Seconds(2);
constexpr absl::Duration kHeartbeatPeriod = absl::Seconds(1);
constexpr absl::Duration kSilenceLimit = absl::Seconds(15);
constexpr absl::Duration kPoll = absl::Milliseconds(50);
// How long processes may take to end by themselves once the benchmark is over: when it has failed,
// and when all is well, where mpirun has output to pass on.
constexpr absl::Duration kEndLimit = absl::Seconds(1);
constexpr absl::Duration kGoodEndLimit = absl::Seconds(20);
// When a signal has ended it: this program must have ended within two seconds.
constexpr absl::Duration kInterruptLimit = absl::Milliseconds(500);
// How long a death is held until the process's end has been noticed here, which is looked for every
// kPoll.
constexpr absl::Duration kCauseTime = absl::Seconds(1);
// Between the endpoints of one process, one a transport.
constexpr char kEndpointSeparator[] = ",";

std::vector<NodeId> NodesOf(const std::vector<std::vector<NodeId>>& nodes, int32_t rank) {
  return nodes.empty() ? std::vector<NodeId>{{Role::kWorker, rank}} : nodes[rank];
}

// Starts ranks 1 and up, or mpirun with all.
absl::Status StartRanks(const BenchLaunch& launch, const HostPort& endpoint,
                        const std::string& token, Children* children) {
  std::vector<std::string> arguments = launch.arguments;
  arguments.insert(arguments.end(), {"--coordinator", endpoint.ToString()});
  const std::vector<std::string> environment = {absl::StrCat(kTokenVariable, "=", token)};
  if (launch.mpirun_transport) {
    RM_ASSIGN_OR_RETURN(ChildProgram mpirun,
                        Mpirun({launch.mpi_launcher, launch.ranks, *launch.mpirun_transport,
                                /*all_algorithms=*/true},
                               arguments, environment));
    mpirun.keeps_output = true;
    return children->Start(mpirun);
  }
  for (int32_t rank = 1; rank < launch.ranks; ++rank) {
    ChildProgram program;
    program.arguments = arguments;
    program.arguments.insert(program.arguments.end(), {"--rank", absl::StrCat(rank)});
    program.environment = environment;
    RM_RETURN_IF_ERROR(children->Start(program));
  }
  return absl::OkStatus();
}

// Processes that ended: what is not yet done of the benchmark fails with that.
void NoteEnds(const BenchLaunch& launch, Children* children, Coordinator* coordinator) {
  for (const auto& [child, how] : children->Reap()) {
    if (!launch.mpirun_transport) {
      coordinator->NoteEnd(child + 1, NamesOf(NodesOf(launch.nodes, child + 1)), how);
      continue;
    }
    const int32_t last = launch.ranks - 1;
    if (coordinator->Processes()[last].joined) continue;
    coordinator->Abort(absl::UnavailableError(absl::StrCat(
        launch.mpi_launcher, " ended with ", how, " before ", NamesOf(NodesOf(launch.nodes, last)),
        " joined the benchmark; what it said stands above")));
  }
}

}  // namespace

absl::Status LeadBench(const BenchLaunch& launch,
                       const std::function<absl::Status(const BenchSeat&)>& rank0) {
  RM_RETURN_IF_ERROR(CheckDescriptors(launch.ranks));
  CoordinatorOptions options;
  options.listen_at = {kLoopback, 0};
  options.credentials.token = NewToken();
  options.spec_fingerprint = launch.fingerprint;
  options.processes = launch.ranks;
  options.join_limit = kJoinLimit;
  options.silence_limit = kSilenceLimit;
  if (!launch.mpirun_transport) options.cause_time = kCauseTime;
  RM_ASSIGN_OR_RETURN(auto coordinator, Coordinator::Start(options));
  Children children;
  const absl::Status started =
      StartRanks(launch, coordinator->endpoint(), options.credentials.token, &children);
  if (!started.ok()) coordinator->Abort(started);
  for (int32_t rank = 1; started.ok() && !launch.mpirun_transport && rank < launch.ranks; ++rank) {
    coordinator->NoteStarted(rank, children.pid(rank - 1));
  }
  const BenchSeat seat{
      0,           launch.ranks, coordinator->endpoint(), options.credentials, launch.fingerprint,
      launch.nodes};
  std::thread rank0_thread([&] {
    if (launch.mpirun_transport) return;
    const absl::Status ran = rank0(seat);
    if (!ran.ok()) coordinator->Abort(ran);
  });
  while (!coordinator->WaitFor(kPoll)) {
    if (launch.interrupted != nullptr && *launch.interrupted)
      coordinator->Abort(absl::CancelledError("interrupted"));
    NoteEnds(launch, &children, coordinator.get());
  }
  const absl::Status result = coordinator->Result().status();
  // Before rank 0, which may wait for one of them that hangs.
  const bool interrupted = launch.interrupted != nullptr && *launch.interrupted;
  children.WaitOrKill(MonotonicNow() + (result.ok()   ? kGoodEndLimit
                                        : interrupted ? kInterruptLimit
                                                      : kEndLimit));
  rank0_thread.join();
  return result;
}

absl::StatusOr<std::unique_ptr<BenchGroup>> BenchGroup::Join(
    const BenchSeat& seat, const std::vector<std::string>& transports, const std::string& wait) {
  std::vector<FabricOptions> fabrics(transports.size());
  for (size_t i = 0; i < transports.size(); ++i) {
    absl::string_view name = transports[i];
    if (absl::ConsumeSuffix(&name, kTlsSuffix)) {
      RM_ASSIGN_OR_RETURN(fabrics[i].credentials, CredentialsFor("tls", seat.credentials.token));
    }
    fabrics[i].name = std::string(name);
    fabrics[i].wait = wait;
  }
  return Join(seat, std::move(fabrics));
}

absl::StatusOr<std::unique_ptr<BenchGroup>> BenchGroup::Join(const BenchSeat& seat,
                                                             std::vector<FabricOptions> fabrics) {
  std::unique_ptr<BenchGroup> group(new BenchGroup(seat));
  RM_RETURN_IF_ERROR(group->CreateFabrics(std::move(fabrics)));
  RM_RETURN_IF_ERROR(group->Attend());
  const absl::Status connected = group->Connect();
  if (!connected.ok()) {
    return group->Leave(
        Annotate(connected, absl::StrCat(NamesOf(NodesOf(seat.nodes, seat.rank)), " connecting")));
  }
  return group;
}

absl::Status BenchGroup::CreateFabrics(std::vector<FabricOptions> fabrics) {
  for (FabricOptions& options : fabrics) {
    options.listen_address = kLoopback;
    options.credentials.token = seat_.credentials.token;
    RM_ASSIGN_OR_RETURN(auto fabric, CreateFabric(options));
    fabrics_.push_back(std::move(fabric));
  }
  return absl::OkStatus();
}

absl::Status BenchGroup::Attend() {
  ringmaster::Join join;
  join.set_process(seat_.rank);
  join.set_processes(seat_.ranks);
  join.set_spec_fingerprint(seat_.fingerprint);
  join.set_data_endpoint(
      absl::StrJoin(fabrics_, kEndpointSeparator,
                    [](std::string* out, const auto& fabric) { out->append(fabric->endpoint()); }));
  SayWhoJoins(&join);
  for (const NodeId& node : NodesOf(seat_.nodes, seat_.rank)) {
    NodeName* name = join.add_nodes();
    name->set_server(node.role == Role::kServer);
    name->set_index(node.index);
  }
  RM_ASSIGN_OR_RETURN(client_, ControlClient::Attend(
                                   seat_.coordinator, seat_.credentials, join,
                                   MonotonicNow() + kJoinLimit + kJoinGrace,
                                   [this](const absl::Status& why) { OnAbort(why); },
                                   [] { return Heartbeat(); }, kHeartbeatPeriod));
  return absl::OkStatus();
}

void BenchGroup::OnAbort(const absl::Status& why) {
  for (const auto& fabric : fabrics_) fabric->Abort(why);
  absl::MutexLock lock(&mutex_);
  aborted_ = why;
  if (abort_) abort_(why);
}

void BenchGroup::SetAbort(std::function<void(const absl::Status&)> abort) {
  absl::MutexLock lock(&mutex_);
  abort_ = std::move(abort);
  if (abort_ && !aborted_.ok()) abort_(aborted_);
}

absl::Status BenchGroup::Connect() {
  const MonotonicTime deadline = MonotonicNow() + kJoinLimit;
  for (size_t i = 0; i < fabrics_.size(); ++i) {
    std::vector<ProcessAddress> addresses;
    for (int32_t rank = 0; rank < seat_.ranks; ++rank) {
      const std::vector<std::string> endpoints =
          absl::StrSplit(client_->welcome().processes(rank).data_endpoint(), kEndpointSeparator);
      if (endpoints.size() != fabrics_.size()) {
        return absl::InvalidArgumentError(absl::StrCat(NamesOf(NodesOf(seat_.nodes, rank)),
                                                       " listens on ", endpoints.size(),
                                                       " transports, expected ", fabrics_.size()));
      }
      addresses.push_back({endpoints[i], NodesOf(seat_.nodes, rank)});
    }
    RM_RETURN_IF_ERROR(fabrics_[i]->Connect(addresses, seat_.rank, deadline));
  }
  return absl::OkStatus();
}

absl::Status BenchGroup::Leave(const absl::Status& status) {
  if (status.ok()) return client_->Finish(ProcessReport());
  for (const auto& fabric : fabrics_) fabric->Abort(status);
  client_->Fail(status);
  const absl::Status of_all = client_->status();
  return of_all.ok() ? status : of_all;
}

}  // namespace ringmaster
