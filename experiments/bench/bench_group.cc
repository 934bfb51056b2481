#include "experiments/bench/bench_group.h"

#include <unistd.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/control/coordinator.h"
#include "experiments/launch/children.h"
#include "experiments/launch/launcher_environment.h"
#include "experiments/launch/placement.h"
#include "experiments/launch/run_arm.h"

namespace ringmaster {
namespace {

constexpr char kLoopback[] = "127.0.0.1";
constexpr absl::Duration kJoinLimit = absl::Seconds(30);
// The coordinator's limit for joining ends first and names who is missing; a process only gives up after it.
constexpr absl::Duration kJoinGrace = absl::Seconds(2);
constexpr absl::Duration kHeartbeatPeriod = absl::Seconds(1);
constexpr absl::Duration kSilenceLimit = absl::Seconds(15);
constexpr absl::Duration kPoll = absl::Milliseconds(50);
// How long processes may take to end by themselves once the benchmark is over.
constexpr absl::Duration kEndLimit = absl::Seconds(1);
// Between the endpoints of one process, one a transport.
constexpr char kEndpointSeparator[] = ",";

std::vector<NodeId> NodesOf(const std::vector<std::vector<NodeId>>& nodes, int32_t rank) {
  return nodes.empty() ? std::vector<NodeId>{{Role::kWorker, rank}} : nodes[rank];
}

// Starts ranks 1 and up.
absl::Status StartRanks(const BenchLaunch& launch, const std::string& endpoint, const std::string& token,
                        Children* children) {
  for (int32_t rank = 1; rank < launch.ranks; ++rank) {
    std::vector<std::string> arguments = launch.arguments;
    for (const std::string& argument : {std::string("--rank"), absl::StrCat(rank), std::string("--coordinator"), endpoint}) {
      arguments.push_back(argument);
    }
    RM_RETURN_IF_ERROR(children->Start(arguments, {absl::StrCat(kTokenVariable, "=", token)}, ""));
  }
  return absl::OkStatus();
}

// A process that ended before it joined: the coordinator knows of those that had.
void NoteEarlyEnds(const BenchLaunch& launch, Children* children, Coordinator* coordinator) {
  for (const auto& [child, how] : children->Reap()) {
    const int32_t rank = child + 1;
    if (coordinator->Processes()[rank].joined) continue;
    coordinator->Abort(absl::UnavailableError(absl::StrCat(
        NamesOf(NodesOf(launch.nodes, rank)), " ended with ", how, " before it joined the benchmark; what it said stands above")));
  }
}

}  // namespace

absl::Status LeadBench(const BenchLaunch& launch, const std::function<absl::Status(const BenchSeat&)>& rank0) {
  CoordinatorOptions options;
  options.listen_address = absl::StrCat(kLoopback, ":0");
  options.token = NewToken();
  options.spec_fingerprint = launch.fingerprint;
  options.processes = launch.ranks;
  options.join_limit = kJoinLimit;
  options.silence_limit = kSilenceLimit;
  RM_ASSIGN_OR_RETURN(auto coordinator, Coordinator::Start(options));
  Children children;
  const absl::Status started = StartRanks(launch, coordinator->endpoint(), options.token, &children);
  if (!started.ok()) coordinator->Abort(started);
  const BenchSeat seat{0, launch.ranks, coordinator->endpoint(), options.token, launch.fingerprint,
                       launch.nodes};
  std::thread rank0_thread([&] {
    const absl::Status ran = rank0(seat);
    if (!ran.ok()) coordinator->Abort(ran);
  });
  while (!coordinator->WaitFor(kPoll)) {
    if (launch.interrupted != nullptr && *launch.interrupted) coordinator->Abort(absl::CancelledError("interrupted"));
    NoteEarlyEnds(launch, &children, coordinator.get());
  }
  rank0_thread.join();
  children.WaitOrKill(absl::Now() + kEndLimit);
  return coordinator->Result().status();
}

absl::StatusOr<std::unique_ptr<BenchGroup>> BenchGroup::Join(const BenchSeat& seat,
                                                             const std::vector<std::string>& transports,
                                                             const std::string& wait) {
  std::unique_ptr<BenchGroup> group(new BenchGroup(seat));
  RM_RETURN_IF_ERROR(group->CreateFabrics(transports, wait));
  RM_RETURN_IF_ERROR(group->Attend());
  const absl::Status connected = group->Connect();
  if (!connected.ok()) {
    return group->Leave(Annotate(connected, absl::StrCat(NamesOf(NodesOf(seat.nodes, seat.rank)), " connecting")));
  }
  return group;
}

absl::Status BenchGroup::CreateFabrics(const std::vector<std::string>& transports, const std::string& wait) {
  for (const std::string& name : transports) {
    FabricOptions options;
    options.name = name;
    options.listen_address = kLoopback;
    options.token = seat_.token;
    options.wait = wait;
    RM_ASSIGN_OR_RETURN(auto fabric, CreateFabric(options));
    fabrics_.push_back(std::move(fabric));
  }
  return absl::OkStatus();
}

absl::Status BenchGroup::Attend() {
  ringmaster::Join join;
  join.set_process(seat_.rank);
  join.set_processes(seat_.ranks);
  join.set_token(seat_.token);
  join.set_spec_fingerprint(seat_.fingerprint);
  join.set_data_endpoint(absl::StrJoin(fabrics_, kEndpointSeparator,
                                       [](std::string* out, const auto& fabric) { out->append(fabric->endpoint()); }));
  join.set_pid(getpid());
  for (const NodeId& node : NodesOf(seat_.nodes, seat_.rank)) {
    NodeName* name = join.add_nodes();
    name->set_server(node.role == Role::kServer);
    name->set_index(node.index);
  }
  RM_ASSIGN_OR_RETURN(client_, ControlClient::Attend(
                                   seat_.coordinator, join, absl::Now() + kJoinLimit + kJoinGrace,
                                   [this](const absl::Status& why) {
                                     for (const auto& fabric : fabrics_) fabric->Abort(why);
                                   },
                                   [] { return Heartbeat(); }, kHeartbeatPeriod));
  return absl::OkStatus();
}

absl::Status BenchGroup::Connect() {
  const absl::Time deadline = absl::Now() + kJoinLimit;
  for (size_t i = 0; i < fabrics_.size(); ++i) {
    std::vector<ProcessAddress> addresses;
    for (int32_t rank = 0; rank < seat_.ranks; ++rank) {
      const std::vector<std::string> endpoints =
          absl::StrSplit(client_->welcome().processes(rank).data_endpoint(), kEndpointSeparator);
      if (endpoints.size() != fabrics_.size()) {
        return absl::InvalidArgumentError(absl::StrCat(NamesOf(NodesOf(seat_.nodes, rank)), " listens on ", endpoints.size(),
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
