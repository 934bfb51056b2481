#include "experiments/program/cli/predict/link_measurement.h"

#include "common/base/fingerprint.h"
#include "common/base/status_macros.h"
#include "common/config/load.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/network.h"
#include "experiments/program/run/placement.h"
#include "experiments/proof/bench/bench_group.h"

namespace ringmaster {
namespace {

// What the processes are told: a spec of nothing but the transport and their number.
RunSpec LinkOf(const RunSpec& spec, int32_t ranks) {
  RunSpec link;
  *link.mutable_transport() = spec.transport();
  if (link.transport().has_network()) {
    link.mutable_transport()->mutable_network()->clear_nodes();
    link.mutable_transport()->mutable_network()->clear_links();
  }
  link.mutable_training()->set_workers(ranks);
  return link;
}

LinkBench BenchOf(const RunSpec& link) {
  LinkBench bench;
  bench.fabric.name = link.transport().name();
  bench.fabric.wait = link.transport().wait();
  bench.fabric.segment_bytes = link.transport().segment_bytes();
  bench.fabric.network = NetworkOf(link);
  return bench;
}

}  // namespace

absl::StatusOr<std::vector<LinkTimes>> MeasureLink(const RunSpec& spec, int32_t ranks) {
  const RunSpec link = LinkOf(spec, ranks);
  const std::string text = SerializeRunSpec(link);
  BenchLaunch launch;
  launch.ranks = ranks;
  launch.fingerprint = Fingerprint64(text);
  launch.arguments = {"predict", "--link", text};
  launch.interrupted = &InterruptFlag();
  std::vector<LinkTimes> times;
  RM_RETURN_IF_ERROR(LeadBench(launch, [&](const BenchSeat& seat) {
    return RunLinkRank(BenchOf(link), seat,
                       [&](const std::vector<LinkTimes>& measured) { times = measured; });
  }));
  return times;
}

absl::Status JoinLinkMeasurement(const std::string& text, int32_t rank,
                                 const std::string& coordinator) {
  RM_ASSIGN_OR_RETURN(const RunSpec link, ParseRunSpec(text, "--link"));
  const Environment environment = ReadEnvironment();
  BenchSeat seat;
  seat.rank = rank;
  seat.ranks = link.training().workers();
  RM_ASSIGN_OR_RETURN(seat.coordinator, HostPort::Parse(coordinator));
  seat.credentials.token = environment.token.value_or("");
  seat.fingerprint = Fingerprint64(text);
  NameProcess({{Role::kWorker, rank}});
  return RunLinkRank(BenchOf(link), seat, [](const std::vector<LinkTimes>&) {});
}

}  // namespace ringmaster
