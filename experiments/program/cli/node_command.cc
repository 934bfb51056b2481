#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/host_port.h"
#include "common/base/status_macros.h"
#include "common/base/stopped_time.h"
#include "common/config/arms.h"
#include "common/config/load.h"
#include "common/config/override.h"
#include "common/config/resolve.h"
#include "common/control/coordinator.h"
#include "common/control/end_request.h"
#include "common/control/last_words.h"
#include "common/engine/engine_names.h"
#include "common/log/log.h"
#include "common/machine/process_end.h"
#include "common/scheme/registry.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/outcome.h"
#include "experiments/program/cli/outputs.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/spec_flags.h"
#include "experiments/program/cli/weights_file.h"
#include "experiments/program/run/children.h"
#include "experiments/program/run/descriptors.h"
#include "experiments/program/run/hosts/record_hosts.h"
#include "experiments/program/run/job_credentials.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/losses.h"
#include "experiments/program/run/node.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/run_needs.h"
#include "google/protobuf/message.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr char kDescription[] = "one rank of a run, started by hand or by a launcher";
constexpr char kFooter[] =
    "Start one process a rank, all with the same spec and flags; rank 0 leads the run and keeps "
    "its record:\n"
    "  ringmaster node --arm ring --rank 0 --world-size 2 --coordinator 127.0.0.1:29500 &\n"
    "  ringmaster node --arm ring --rank 1 --world-size 2 --coordinator 127.0.0.1:29500\n"
    "HOST is a name or an address, IPv6 in brackets ([::1]:29500). A name that does not resolve "
    "yet is looked up "
    "again\n"
    "until limits.join_seconds are over. Rank 0 alone may listen at every address "
    "(0.0.0.0:29500).\n"
    "Workers have ranks 0 to N-1, dedicated servers the ranks after them. With --workers and "
    "without --servers all\n"
    "ranks beyond the workers are servers. What a launcher says stands in for flags that are not "
    "given: rank, world\n"
    "size and device (the local rank) by mpirun, mpiexec.hydra, srun and torchrun, the rank by a "
    "Kubernetes Indexed\n"
    "Job, where rank 0 leads by MASTER_ADDR and MASTER_PORT. `ringmaster doctor --launcher` under "
    "a launcher says what\n"
    "is taken from whom. A run has succeeded if its record says so, whatever the launcher's exit "
    "code.\n"
    "RINGMASTER_TOKEN, the same on every rank, keeps other processes out; without it the spec's "
    "fingerprint does, on\n"
    "loopback or with --tls. Beyond loopback every rank needs --tls DIR, a copy of the folder that "
    "`ringmaster keygen DIR`\n"
    "has made with the --host of all machines, or --insecure.";

struct NodeFlags {
  SpecFlags spec;
  std::string spec_file;
  std::string arm;
  std::string out = "ringmaster-out";
  std::optional<int> rank;
  std::optional<int> world_size;
  std::string coordinator;
  std::optional<int> device;
  bool joins = false;    // somebody else leads, rank 0 included
  std::string resolved;  // fingerprint of the spec, which who started this rank has resolved and
                         // validated; empty: nobody has
  HookFiles hooks;       // of whoever started this rank
  bool resume = false;
};

// What a flag leaves open, a launcher says.
absl::Status FillFrom(const absl::StatusOr<std::optional<LauncherWord>>& word,
                      std::optional<int>* number) {
  RM_RETURN_IF_ERROR(word.status());
  if (word->has_value()) *number = (*word)->value;
  return absl::OkStatus();
}

// What the flags leave open, the launcher's environment says. Who leads a run has given its ranks
// all but the rank, which the mpirun that he started says.
absl::Status FillFromEnvironment(NodeFlags* flags) {
  const auto read = flags->joins ? ReadFromMpirun : ReadFromLauncher;
  if (!flags->rank) {
    RM_RETURN_IF_ERROR(FillFrom(read(LauncherNumber::kRank), &flags->rank));
  }
  if (!flags->world_size) {
    RM_RETURN_IF_ERROR(FillFrom(read(LauncherNumber::kWorldSize), &flags->world_size));
  }
  return absl::OkStatus();
}

// Launchers give standard input to rank 0 alone.
absl::Status CheckStandardInput(const NodeFlags& flags) {
  if (flags.spec_file != "-" || flags.joins || flags.rank.value_or(0) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("rank ", *flags.rank,
                   ": a spec from standard input reaches rank 0 alone; give a file that every rank "
                   "can read"));
}

// Whether the run computes on a GPU, so that it matters which.
bool NeedsDevice(const RunSpec& spec) {
  const std::string& kernels = spec.training().kernels();
  return (kernels != "cpu" && kernels != "reference") ||
         EngineGpusOf(TraitsOf(spec).engine) != EngineGpus::kNone;
}

absl::Status FillDevice(const RunSpec& spec, NodeFlags* flags) {
  if (flags->device || !NeedsDevice(spec)) return absl::OkStatus();
  return FillFrom(ReadFromLauncher(LauncherNumber::kLocalRank), &flags->device);
}

// Whether somebody has set the number of servers of that scheme.
bool SaysServers(const StrategySpec& strategy, const char* scheme) {
  const google::protobuf::Reflection& reflection = *strategy.GetReflection();
  const auto* kind = StrategySpec::descriptor()->FindFieldByName(scheme);
  if (!reflection.HasField(strategy, kind)) return false;
  const google::protobuf::Message& chosen = reflection.GetMessage(strategy, kind);
  const auto* field = chosen.GetDescriptor()->FindFieldByName("servers");
  return field != nullptr && chosen.GetReflection()->HasField(chosen, field);
}

// A launcher says how many processes there are. Those that are no dedicated servers are workers;
// where the spec says how many workers there are and not how many servers, the others are servers.
absl::Status ShareRanks(int processes, RunSpec* spec) {
  if (spec->strategy().launch() == THREADS) return absl::OkStatus();
  const int others = processes - spec->training().workers();  // all, where nobody says workers
  if (others <= 0) return absl::OkStatus();
  RunSpec with_one = *spec;
  with_one.mutable_training()->set_workers(1);
  with_one.mutable_training()->set_steps(1);
  with_one.mutable_training()->clear_epochs();
  // Not validated: what it says of other workers is right.
  RM_ASSIGN_OR_RETURN(with_one, Resolve(with_one, ResolveContext()));
  const int servers = TraitsOf(with_one).processes - 1;
  if (!spec->training().has_workers()) {
    spec->mutable_training()->set_workers(processes - servers);
    return absl::OkStatus();
  }
  const char* const scheme = FindScheme(with_one.strategy())->name;
  if (servers == 0 || SaysServers(spec->strategy(), scheme)) return absl::OkStatus();
  return SetField(absl::StrCat("strategy.", scheme, ".servers=", others), spec);
}

absl::StatusOr<RunSpec> BuildSpec(const NodeFlags& flags) {
  const std::string data_dir = ReadEnvironment().default_data_dir;
  RunSpec spec;
  if (!flags.spec_file.empty()) {
    RM_ASSIGN_OR_RETURN(spec, LoadRunSpec(flags.spec_file == "-" ? "/dev/stdin" : flags.spec_file));
  }
  if (!flags.resolved.empty()) {
    RM_RETURN_IF_ERROR(CheckFingerprint(spec, flags.resolved));
    return spec;
  }
  RM_RETURN_IF_ERROR(CheckOutputsWithin(spec, flags.out));
  RM_RETURN_IF_ERROR(flags.spec.Apply(&spec));
  if (!flags.arm.empty()) {
    RM_ASSIGN_OR_RETURN(spec, MakeArm(flags.arm, spec));
    RM_RETURN_IF_ERROR(CheckTaken(flags.spec.sets(), {spec}));
  }
  if (flags.world_size.value_or(0) > 0) {
    RM_RETURN_IF_ERROR(ShareRanks(*flags.world_size, &spec));
  }
  std::vector<RunSpec> specs(1);
  RM_ASSIGN_OR_RETURN(specs[0], ResolveAndValidate(spec, data_dir));
  // Who started this rank has seen to it.
  if (!flags.joins) {
    RM_RETURN_IF_ERROR(PrepareOutputs(&specs));
    TellOfWeights(specs);
  }
  if (flags.resume) {
    if (specs[0].output().checkpoints().empty())
      return absl::InvalidArgumentError("--resume: from where? say --checkpoints DIR");
    for (const std::string& why : ResumeFromNewest(&specs[0])) Log(LogLevel::kWarning, why);
  }
  return specs[0];
}

// "--rank 3", or that nobody has said it, with what launchers have said and what of it does not
// count.
std::string Given(const char* flag, std::optional<int> value) {
  if (value) return absl::StrCat(flag, " ", *value);
  std::vector<std::string> seen;
  for (const LauncherNumber what : kLauncherNumbers) {
    const auto word = ReadFromLauncher(what);
    if (word.ok() && word->has_value()) {
      seen.push_back(
          absl::StrCat((*word)->variable, "=", (*word)->value, " (of ", (*word)->launcher, ")"));
    }
    for (std::string& line : NotTaken(what))
      seen.push_back(absl::StrCat(std::move(line), ", which does not count"));
  }
  if (seen.empty()) return absl::StrCat(flag, " is not given");
  return absl::StrCat(flag, " is not given, and launchers say only ", absl::StrJoin(seen, " and "));
}

absl::Status CheckRanks(const NodeFlags& flags, const RunSpec& spec) {
  const int processes = TraitsOf(spec).processes;
  if (flags.world_size != processes) {
    return absl::InvalidArgumentError(absl::StrCat(
        Given("--world-size", flags.world_size), ": this run has ", processes, " processes (",
        TrainingWorkers(spec), " workers, ", TraitsOf(spec).servers,
        " servers); give --world-size ", processes, " or change --workers or --servers"));
  }
  if (!flags.rank || *flags.rank < 0 || *flags.rank >= processes) {
    return absl::InvalidArgumentError(absl::StrCat(Given("--rank", flags.rank), ": expected 0 to ",
                                                   processes - 1, " (give --rank or set RANK)"));
  }
  return absl::OkStatus();
}

// Where rank 0 leads the run: what the flag says, else what a launcher does.
absl::StatusOr<HostPort> CoordinatorFor(const NodeFlags& flags, bool leads) {
  HostPort coordinator;
  if (!flags.coordinator.empty()) {
    const auto parsed = HostPort::Parse(flags.coordinator);
    if (!parsed.ok()) return Annotate(parsed.status(), "--coordinator");
    coordinator = *parsed;
  } else {
    RM_ASSIGN_OR_RETURN(const std::optional<HostPort> said, ReadCoordinator());
    if (!said) {
      return absl::InvalidArgumentError(
          "--coordinator is not given: expected HOST:PORT of rank 0 (or set MASTER_ADDR and "
          "MASTER_PORT)");
    }
    coordinator = *said;
  }
  // Rank 0 may listen at every address, or where the system chooses: it knows what became of it.
  if (leads) return coordinator;
  if (IsWildcard(coordinator.host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--coordinator ", coordinator.ToString(),
                     ": this is every address of the machine that listens, and none to "
                     "connect to; give rank ",
                     *flags.rank, " the name or address of rank 0's machine"));
  }
  if (coordinator.port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--coordinator ", coordinator.ToString(),
                     ": port 0 is one that rank 0's machine chooses; give rank ", *flags.rank,
                     " the port that rank 0 listens at"));
  }
  return coordinator;
}

absl::StatusOr<JobCredentials> Credentials(const HostPort& coordinator, const RunSpec& spec) {
  const std::string& security = spec.transport().security();
  const bool stays_here = IsLoopback(coordinator.host) || coordinator.host == "localhost";
  if (!stays_here && security.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--coordinator ", coordinator.ToString(),
        " is not loopback: other machines can reach it, and what is said can be read; give every "
        "rank --tls DIR, with certificates of `ringmaster keygen DIR`, or --insecure"));
  }
  const std::optional<std::string> token = ReadEnvironment().token;
  if (token.has_value()) return CredentialsFor(security, *token);
  // Whoever is let in by a certificate needs no other secret.
  if (!stays_here && security != "tls") {
    return absl::InvalidArgumentError(absl::StrCat("--coordinator ", coordinator.ToString(),
                                                   " is not loopback: set ", kTokenVariable,
                                                   " to the same secret on every rank"));
  }
  return CredentialsFor(security, FingerprintText(spec));
}

// Aborted: what the run ends with is no consequence of another failure.
absl::Status EndedBy(const std::string& name, int signal) {
  return absl::AbortedError(absl::StrCat(name, ": ended by ", SignalName(signal)));
}

// Of a run that is to be started again, since a process is lost.
std::string WhoStartsAgain(const RunSpec& spec) {
  return absl::StrCat(
      "; strategy.on_failure is RESTART, but rank 0 starts no ranks: whoever started them can "
      "start them again, all ",
      spec.output().checkpoints().empty() ? "from the beginning, for there are no checkpoints"
                                          : "with --resume, from the newest checkpoint");
}

// Leads the run from rank 0. Its own part runs here too, on a thread: a signal ends the run, and
// its record is kept, also while that thread computes a long batch.
int Lead(const RunSpec& spec, const std::string& name, NodeOptions options,
         const NodeFlags& flags) {
  constexpr std::chrono::milliseconds kPoll(20), kUnwindLimit(200);
  constexpr absl::Duration kUnwindWordsLimit = absl::Milliseconds(200);
  RunRecord record = NewRecord(spec);
  auto coordinator =
      Coordinator::Start(CoordinatorOptionsOf(spec, options.coordinator, options.credentials));
  if (!coordinator.ok()) {
    const std::string more = flags.coordinator.empty() ? WhyMasterPortMayBeTaken() : "";
    Log(LogLevel::kError,
        absl::StrCat(coordinator.status().message(), more.empty() ? "" : "; ", more));
    return kExitUserError;
  }
  // Others cannot know a port that the system has chosen.
  const bool is_news = options.coordinator.port == 0 && TraitsOf(spec).processes > 1;
  // By the name that was given, for that is what certificates name.
  const HostPort listens_at = (*coordinator)->endpoint();
  HostPort& dialled = options.coordinator;
  if (dialled.host.empty() || IsWildcard(dialled.host)) dialled.host = listens_at.host;
  dialled.port = listens_at.port;
  Log(is_news ? LogLevel::kInfo : LogLevel::kDebug,
      absl::StrCat("leads the run at ", listens_at.ToString()));
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
  FillLosses((*coordinator)->Losses(), &record);
  FillHosts((*coordinator)->Processes(), &record);
  if ((*coordinator)->EndedByLoss().has_value())
    record.set_status(absl::StrCat(record.status(), WhoStartsAgain(spec)));
  FillLastWords((*coordinator)->AwaitLastWords(over ? kLastWordsLimit : kUnwindWordsLimit),
                &record);
  // What else the machine did is not known to one of its ranks, but its own stops are.
  if (StoppedTime() > absl::ZeroDuration()) {
    record.mutable_conditions()->set_stopped_seconds(absl::ToDoubleSeconds(StoppedTime()));
  }
  const int code = ReportOutcome(record, flags.out, /*json=*/false);
  if (over) return code;
  std::fflush(stdout);
  EndProcess(128 + EndSignal());
}

int RunNodeCommand(NodeFlags flags) {
  const auto fail = [](const absl::Status& status) {
    Log(LogLevel::kError, status.message());
    return kExitUserError;
  };
  // Who leads the run has started mpirun, and this is one of its ranks.
  if (flags.joins && !flags.rank) DieWithParent();
  absl::Status filled = FillFromEnvironment(&flags);
  if (filled.ok()) filled = CheckStandardInput(flags);
  if (!filled.ok()) return fail(filled);
  absl::StatusOr<RunSpec> spec = BuildSpec(flags);
  if (!spec.ok()) return fail(spec.status());
  absl::Status ranks = CheckRanks(flags, *spec);
  if (ranks.ok()) ranks = CheckDescriptors(*flags.world_size);
  if (ranks.ok() && !flags.joins) ranks = CheckAddressSpace(*spec);
  if (!ranks.ok()) return fail(ranks);
  const absl::Status device = FillDevice(*spec, &flags);
  if (!device.ok()) return fail(device);
  const bool leads = flags.rank == 0 && !flags.joins;
  const absl::StatusOr<HostPort> coordinator = CoordinatorFor(flags, leads);
  if (!coordinator.ok()) return fail(coordinator.status());
  const absl::StatusOr<JobCredentials> credentials = Credentials(*coordinator, *spec);
  if (!credentials.ok()) return fail(credentials.status());
  const std::vector<NodeId> nodes = PlaceNodes(*spec)[*flags.rank];
  const std::string name = NamesOf(nodes);
  NameProcess(nodes);
  NodeOptions options{*flags.rank, *coordinator, *credentials, flags.device.value_or(0),
                      flags.hooks};
  if (leads) return Lead(*spec, name, options, flags);
  // Who leads the run says what happened; a rank started by hand says it too.
  const bool says = !flags.joins;
  const auto ends =
      std::make_shared<EndRequest>();  // shared with a thread that may outlive this function
  OnEndSignal([ends, name, says](int signal) {
    const absl::Status why = EndedBy(name, signal);
    if (says) Log(LogLevel::kError, why.message());
    ends->Make(why);
  });
  options.ends = ends.get();
  options.is_led = !says;
  const absl::Status ran = RunNode(*spec, options);
  if (ran.ok()) return kExitOk;
  if (says && EndSignal() == 0) Log(LogLevel::kError, ran.message());
  return absl::IsAlreadyExists(ran) || absl::IsPermissionDenied(ran) ? kExitUserError
                                                                     : kExitFailedRun;
}

}  // namespace

void DeclareNode(Command program, Action* action) {
  Command command = program.AddCommand("node", kDescription);
  command.SetFooter(kFooter);
  auto flags = std::make_shared<NodeFlags>();
  command.AddOption("SPEC", &flags->spec_file, "run spec (textproto); - reads standard input");
  command.AddOption("--arm", &flags->arm,
                    "an arm by name instead of, or over, the spec's strategy and codec");
  command.AddOption("--rank", &flags->rank, "this process's rank");
  command.AddOption("--world-size", &flags->world_size,
                    "processes of the run: workers and dedicated servers");
  command.AddOption("--coordinator", &flags->coordinator, "where rank 0 leads the run")
      .Takes("HOST:PORT");
  command.AddOption("--device", &flags->device, "GPU of this process, where there is one")
      .Between(0, 1023);
  command.AddOption("--out", &flags->out, "where rank 0 keeps the record").ShowDefault();
  command.AddFlag("--joins", &flags->joins,
                  "another process leads the run, whatever this one's rank");
  command.AddFlag("--resume", &flags->resume,
                  "go on from the newest checkpoint in --checkpoints; every rank says it");
  command.AddOption("--turns", &flags->hooks.turns, "").Hidden();
  command.AddOption("--faults", &flags->hooks.faults, "").Hidden();
  command.AddOption("--clock", &flags->hooks.clock, "").Hidden();
  command.AddOption("--resolved", &flags->resolved, "").Hidden();
  flags->spec.Declare(command);
  command.OnChosen([action, flags] { *action = [flags] { return RunNodeCommand(*flags); }; });
}

}  // namespace ringmaster
