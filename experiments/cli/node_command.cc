#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/config/describe.h"
#include "common/config/load.h"
#include "common/control/coordinator.h"
#include "common/control/end_request.h"
#include "common/log/log.h"
#include "common/machine/process_end.h"
#include "experiments/cli/commands.h"
#include "experiments/cli/outcome.h"
#include "experiments/cli/outputs.h"
#include "experiments/cli/signals.h"
#include "experiments/cli/spec_flags.h"
#include "experiments/cli/weights_file.h"
#include "experiments/launch/children.h"
#include "experiments/launch/descriptors.h"
#include "experiments/launch/launcher_environment.h"
#include "experiments/launch/node.h"
#include "experiments/launch/placement.h"
#include "experiments/launch/run_needs.h"
#include "experiments/launch/run_arm.h"

namespace ringmaster {
namespace {

constexpr char kDescription[] = "one rank of a run, started by hand or by a launcher";
constexpr char kFooter[] =
    "Start one process a rank, all with the same spec and flags; rank 0 leads the run and keeps its record:\n"
    "  ringmaster node --arm ring --rank 0 --world-size 2 --coordinator 127.0.0.1:29500 &\n"
    "  ringmaster node --arm ring --rank 1 --world-size 2 --coordinator 127.0.0.1:29500\n"
    "Workers have ranks 0 to N-1, dedicated servers the ranks after them. Under a launcher RANK, WORLD_SIZE,\n"
    "LOCAL_RANK (the device), MASTER_ADDR and MASTER_PORT stand in for the flags; under mpirun, which a run with\n"
    "collective \"mpi\" needs, what it says of rank and world size does. RINGMASTER_TOKEN, the same on\n"
    "every rank, keeps other processes out; without it the spec's fingerprint does, on loopback only.";

struct NodeFlags {
  SpecFlags spec;
  std::string spec_file;
  std::string arm;
  std::string out = "ringmaster-out";
  std::optional<int> rank;
  std::optional<int> world_size;
  std::string coordinator;
  std::optional<int> device;
  bool joins = false;   // somebody else leads, rank 0 included
  std::string turns;    // of a run that a benchmark started
};

// What the flags leave open, the launcher's environment says.
void FillFromEnvironment(const LauncherEnvironment& environment, NodeFlags* flags) {
  if (!flags->rank) flags->rank = environment.rank;
  if (!flags->world_size) flags->world_size = environment.world_size;
  if (flags->coordinator.empty()) flags->coordinator = environment.coordinator.value_or("");
  if (!flags->device) flags->device = environment.local_rank;
}

absl::StatusOr<RunSpec> BuildSpec(const NodeFlags& flags, const LauncherEnvironment& environment) {
  RunSpec spec;
  if (!flags.spec_file.empty()) {
    RM_ASSIGN_OR_RETURN(spec, LoadRunSpec(flags.spec_file == "-" ? "/dev/stdin" : flags.spec_file));
  }
  RM_RETURN_IF_ERROR(flags.spec.Apply(&spec));
  if (!flags.arm.empty()) {
    RM_ASSIGN_OR_RETURN(spec, MakeArm(flags.arm, spec));
  }
  if (!spec.training().has_workers() && flags.world_size.value_or(0) > 0) {
    // A launcher says how many processes there are; those that are no dedicated servers are workers.
    RunSpec with_one = spec;
    with_one.mutable_training()->set_workers(1);
    with_one.mutable_training()->set_steps(1);
    with_one.mutable_training()->clear_epochs();
    RM_ASSIGN_OR_RETURN(with_one, ResolveAndValidate(with_one, environment.default_data_dir));
    const int servers = ProcessCount(with_one) - 1;
    if (spec.strategy().launch() != THREADS) spec.mutable_training()->set_workers(*flags.world_size - servers);
  }
  std::vector<RunSpec> specs(1);
  RM_ASSIGN_OR_RETURN(specs[0], ResolveAndValidate(spec, environment.default_data_dir));
  // Who started this rank has seen to it.
  if (!flags.joins) {
    RM_RETURN_IF_ERROR(PrepareOutputs(&specs));
    TellOfWeights(specs);
  }
  return specs[0];
}

// "--rank 3", or that nobody has said it.
std::string Given(const char* flag, std::optional<int> value) {
  return value ? absl::StrCat(flag, " ", *value) : absl::StrCat(flag, " is not given");
}

absl::Status CheckRanks(const NodeFlags& flags, const RunSpec& spec) {
  const int processes = ProcessCount(spec);
  if (flags.world_size != processes) {
    return absl::InvalidArgumentError(absl::StrCat(
        Given("--world-size", flags.world_size), ": this run has ", processes, " processes (", TrainingWorkers(spec),
        " workers, ", ServerCount(spec), " servers); give --world-size ", processes,
        " or change --workers or --servers"));
  }
  if (!flags.rank || *flags.rank < 0 || *flags.rank >= processes) {
    return absl::InvalidArgumentError(absl::StrCat(Given("--rank", flags.rank), ": expected 0 to ", processes - 1,
                                                   " (give --rank or set RANK)"));
  }
  if (flags.coordinator.find(':') == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("--coordinator ", flags.coordinator.empty() ? "is not given" : absl::StrCat("\"", flags.coordinator, "\""),
                     ": expected HOST:PORT of rank 0 (or set MASTER_ADDR and MASTER_PORT)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TokenFor(const NodeFlags& flags, const LauncherEnvironment& environment,
                                     const RunSpec& spec) {
  if (environment.token) return *environment.token;
  const bool loopback = absl::StartsWith(flags.coordinator, "127.") ||
                        absl::StartsWith(flags.coordinator, "localhost:") ||
                        absl::StartsWith(flags.coordinator, "[::1]:");
  if (!loopback) {
    return absl::InvalidArgumentError(absl::StrCat("--coordinator ", flags.coordinator,
                                                   " is not loopback: set ", kTokenVariable,
                                                   " to the same secret on every rank"));
  }
  return absl::StrCat(absl::Hex(SpecFingerprint(spec), absl::kZeroPad16));
}

// Aborted: what the run ends with is no consequence of another failure.
absl::Status EndedBy(const std::string& name, int signal) {
  return absl::AbortedError(absl::StrCat(name, ": ended by ", SignalName(signal)));
}

// Leads the run from rank 0. Its own part runs here too, on a thread: a signal ends the run, and its record is kept, also
// while that thread computes a long batch.
int Lead(const RunSpec& spec, const std::string& name, const NodeOptions& options, const std::string& out) {
  constexpr std::chrono::milliseconds kPoll(20), kUnwindLimit(200);
  RunRecord record = NewRecord(spec);
  auto coordinator = Coordinator::Start(CoordinatorOptionsOf(spec, options.coordinator, options.token));
  if (!coordinator.ok()) {
    Log(LogLevel::kError, coordinator.status().message());
    return kExitUserError;
  }
  Log(LogLevel::kDebug, absl::StrCat("leads the run at ", (*coordinator)->endpoint()));
  std::packaged_task<absl::Status()> part([&] { return RunNode(spec, options); });
  std::future<absl::Status> ran = part.get_future();
  std::thread thread(std::move(part));
  bool over = false;
  while (!over && !InterruptFlag()) over = ran.wait_for(kPoll) == std::future_status::ready;
  if (!over) {
    (*coordinator)->Abort(EndedBy(name, EndSignal()));
    over = ran.wait_for(kUnwindLimit) == std::future_status::ready;
  }
  if (over) {
    thread.join();
    const absl::Status status = ran.get();
    if (!status.ok()) (*coordinator)->Abort(status);
  }
  FillRecord((*coordinator)->Result(), &record);
  const int code = ReportOutcome(record, out, /*json=*/false);
  if (over) return code;
  std::fflush(stdout);
  EndProcess(128 + EndSignal());
}

int RunNodeCommand(NodeFlags flags) {
  const auto fail = [](const absl::Status& status) {
    Log(LogLevel::kError, status.message());
    return kExitUserError;
  };
  absl::StatusOr<LauncherEnvironment> environment = ReadLauncherEnvironment();
  if (!environment.ok()) return fail(environment.status());
  // Who leads the run has started mpirun, and this is one of its ranks.
  if (flags.joins && !flags.rank) DieWithParent();
  FillFromEnvironment(*environment, &flags);
  absl::StatusOr<RunSpec> spec = BuildSpec(flags, *environment);
  if (!spec.ok()) return fail(spec.status());
  absl::Status ranks = CheckRanks(flags, *spec);
  if (ranks.ok()) ranks = CheckDescriptors(*flags.world_size);
  if (ranks.ok() && !flags.joins) ranks = CheckAddressSpace(*spec);
  if (!ranks.ok()) return fail(ranks);
  absl::StatusOr<std::string> token = TokenFor(flags, *environment, *spec);
  if (!token.ok()) return fail(token.status());
  const std::vector<NodeId> nodes = PlaceNodes(*spec)[*flags.rank];
  const std::string name = NamesOf(nodes);
  NameProcess(nodes);
  NodeOptions options{*flags.rank, flags.coordinator, *token, flags.device.value_or(0), flags.turns};
  if (*flags.rank == 0 && !flags.joins) return Lead(*spec, name, options, flags.out);
  // Who leads the run says what happened; a rank started by hand says it too.
  const bool says = !flags.joins;
  const auto ends = std::make_shared<EndRequest>();  // shared with a thread that may outlive this function
  OnEndSignal([ends, name, says](int signal) {
    const absl::Status why = EndedBy(name, signal);
    if (says) Log(LogLevel::kError, why.message());
    ends->Make(why);
  });
  options.ends = ends.get();
  const absl::Status ran = RunNode(*spec, options);
  if (ran.ok()) return kExitOk;
  if (says && EndSignal() == 0) Log(LogLevel::kError, ran.message());
  return absl::IsAlreadyExists(ran) || absl::IsPermissionDenied(ran) ? kExitUserError : kExitFailedRun;
}

}  // namespace

void DeclareNode(CLI::App* app, Action* action) {
  CLI::App* command = app->add_subcommand("node", kDescription);
  command->footer(kFooter);
  auto flags = std::make_shared<NodeFlags>();
  command->add_option("SPEC", flags->spec_file, "run spec (textproto); - reads standard input");
  command->add_option("--arm", flags->arm, "an arm by name instead of, or over, the spec's strategy and codec");
  command->add_option("--rank", flags->rank, "this process's rank");
  command->add_option("--world-size", flags->world_size, "processes of the run: workers and dedicated servers");
  command->add_option("--coordinator", flags->coordinator, "where rank 0 leads the run")->type_name("HOST:PORT");
  command->add_option("--device", flags->device, "GPU of this process, where there is one")
      ->check(CLI::Range(0, 1023));
  command->add_option("--out", flags->out, "where rank 0 keeps the record")->capture_default_str();
  command->add_flag("--joins", flags->joins, "another process leads the run, whatever this one's rank");
  command->add_option("--turns", flags->turns)->group("");
  flags->spec.Declare(command);
  command->callback([action, flags] { *action = [flags] { return RunNodeCommand(*flags); }; });
}

}  // namespace ringmaster
