#include "experiments/program/cli/node/node_setup.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/host_port.h"
#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/config/load.h"
#include "common/config/override.h"
#include "common/config/resolve.h"
#include "common/engine/engine_names.h"
#include "common/log/log.h"
#include "common/scheme/registry.h"
#include "experiments/program/cli/outputs.h"
#include "experiments/program/cli/weights_file.h"
#include "experiments/program/run/descriptors.h"
#include "experiments/program/run/job_credentials.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/memory/memory_check.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/programs/ask_program.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/run_needs.h"
#include "google/protobuf/message.h"

namespace ringmaster {
namespace {

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

// Fills in what the spec leaves out of the program in this process, or of the one that --program
// names. Where it names one, servers by themselves can ask it, so all find the weights in a file.
absl::Status AddProgram(const NodeFlags& flags, const ProgramDescription* program, RunSpec* spec) {
  const bool is_named = !spec->model().program().command().empty();
  if (program == nullptr) return is_named ? CompleteProgram(flags.out, spec) : absl::OkStatus();
  spec->mutable_model()->set_name("program");
  spec->mutable_data()->set_name("program");
  if (spec->model().program().tensors().empty())
    *spec->mutable_model()->mutable_program()->mutable_tensors() = program->model.tensors();
  if (!spec->data().has_program()) *spec->mutable_data()->mutable_program() = program->data;
  if (!is_named || program->weights.empty() || !spec->training().init_weights().empty())
    return absl::OkStatus();
  return KeepProgramWeights(flags.out, program->weights, spec);
}

absl::StatusOr<RunSpec> BuildSpec(const NodeFlags& flags, const ProgramDescription* program) {
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
  RM_RETURN_IF_ERROR(AddProgram(flags, program, &spec));
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

// Nobody says anything of other processes: this one is the whole run.
void BeAlone(NodeFlags* flags) {
  if (flags->rank || flags->world_size || flags->joins || !flags->coordinator.empty()) return;
  const auto said = ReadCoordinator();
  if (!said.ok() || said->has_value()) return;
  flags->rank = 0;
  flags->world_size = 1;
  flags->coordinator = "127.0.0.1:0";
}

// Where nobody says how workers exchange, each process of a program is one.
void ChooseArm(NodeFlags* flags) {
  if (flags->joins || !flags->spec_file.empty() || !flags->arm.empty()) return;
  flags->arm = flags->world_size.value_or(0) > 1 ? "ring" : "single";
}

}  // namespace

absl::StatusOr<NodeSetup> SetUpNode(NodeFlags flags, const ProgramDescription* program) {
  RM_RETURN_IF_ERROR(FillFromEnvironment(&flags));
  if (program != nullptr) {
    BeAlone(&flags);
    ChooseArm(&flags);
  }
  RM_RETURN_IF_ERROR(CheckStandardInput(flags));
  NodeSetup setup;
  RM_ASSIGN_OR_RETURN(setup.spec, BuildSpec(flags, program));
  if (program != nullptr) RM_RETURN_IF_ERROR(CheckDescription(*program, setup.spec));
  RM_RETURN_IF_ERROR(CheckRanks(flags, setup.spec));
  RM_RETURN_IF_ERROR(CheckDescriptors(*flags.world_size));
  if (!flags.joins) {
    RM_RETURN_IF_ERROR(CheckAddressSpace(setup.spec));
    RM_RETURN_IF_ERROR(CheckMemoryHere(setup.spec, *flags.rank));
  }
  RM_RETURN_IF_ERROR(FillDevice(setup.spec, &flags));
  setup.leads = flags.rank == 0 && !flags.joins;
  setup.is_launched = flags.joins;
  setup.out = flags.out;
  setup.has_coordinator_flag = !flags.coordinator.empty();
  setup.options.process = *flags.rank;
  RM_ASSIGN_OR_RETURN(setup.options.coordinator, CoordinatorFor(flags, setup.leads));
  RM_ASSIGN_OR_RETURN(setup.options.credentials,
                      Credentials(setup.options.coordinator, setup.spec));
  setup.options.device = flags.device.value_or(0);
  setup.options.hooks = flags.hooks;
  setup.nodes = PlaceNodes(setup.spec)[*flags.rank];
  setup.name = NamesOf(setup.nodes);
  const bool has_worker = std::any_of(setup.nodes.begin(), setup.nodes.end(), [](const NodeId& id) {
    return id.role == Role::kWorker;
  });
  if (program != nullptr && !has_worker) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rank ", *flags.rank, " is ", setup.name,
        ", and a program is a worker: start that rank by `ringmaster node --program COMMAND` with "
        "the same flags on all ranks, or give workers servers of their own "
        "(strategy.parameter_server.placement=COLOCATED, as the arm ps-sharded has)"));
  }
  return setup;
}

void DeclareNodeFlags(Command command, NodeFlags* flags) {
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
}

}  // namespace ringmaster
