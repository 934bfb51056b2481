#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/describe.h"
#include "common/config/is_program.h"
#include "common/log/log.h"
#include "common/machine/conditions.h"
#include "common/scheme/registry.h"
#include "experiments/program/cli/arm_specs.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/compared_arms.h"
#include "experiments/program/cli/outcome.h"
#include "experiments/program/cli/outputs.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/spec_flags.h"
#include "experiments/program/cli/sweep/sweep_watcher.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/program/cli/weights_file.h"
#include "experiments/program/run/faults/fault.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/memory/memory_check.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/run_inputs.h"
#include "experiments/study/results/table.h"
#include "experiments/study/sweep/sweep_table.h"
#include "experiments/study/tune/run_tuning.h"

namespace ringmaster {
namespace {

constexpr char kCompareFooter[] =
    "Every arm trains the same model from the same weights on the same batches; only the strategy "
    "and the codec\n"
    "differ. Each arm runs in processes of its own on this machine, on loopback. Arms take turns "
    "of about 5 s\n"
    "or 100 steps, whichever is shorter, but at least 10 steps: all are alive, and all but one "
    "stand still. Where they\n"
    "would take more than 60 % of the free memory, have over 16 ranks a core, or need more open "
    "files than they may\n"
    "have, and with --no-turns, they run one after the other; --plan says which. The arms `single` "
    "and `solo` are the\n"
    "base of speed-up and the ceiling of efficiency: leave them in. Ctrl-C stops all arms and "
    "shows what was measured.\n"
    "Exit code 0: all arms done, 1: some failed, 2: a mistake in the command, 3: not quotable "
    "(--gate),\n"
    "130: interrupted.";

constexpr char kFaultHelp[] =
    "something bad that is done to a process of every arm that has it: 'worker:1@step=50 kill', "
    "also server:0, @seconds=2.5 after all have joined, and stop, stop 3s (then it goes on), slow "
    "2 (computes twice as long), cut (its connections end). Several times: several faults. Arms "
    "then run one after the other; strategy.on_failure says what a run does";

constexpr absl::Duration kWatched = absl::Milliseconds(300);

struct RunFlags {
  SpecFlags spec;
  std::string spec_file;
  std::vector<std::string> arms;  // empty: the default ones (compare), the spec's own (run)
  std::string out = "ringmaster-out";
  int device = 0;
  bool json = false;
  std::vector<std::string> columns;  // empty: the usual ones
  TuningRequest tuning;              // without grids: nothing is tuned
  double gate = 0;                   // percent; 0: none
  bool no_turns = false;
  bool resume = false;
  std::vector<std::string> faults;  // as given

  // The flag that has arms run one after the other; empty: none.
  std::string one_by_one() const {
    if (!faults.empty()) return "--fault";
    return no_turns ? "--no-turns" : "";
  }
};

void Announce(const std::vector<RunSpec>& specs) {
  const RunSpec& spec = specs.front();
  const TrainingSpec& training = spec.training();
  const std::string accumulated = training.accumulate() > 1
                                      ? absl::StrCat(training.accumulate(), " batches of ")
                                      : std::string();
  const std::string what = IsProgram(spec)
                               ? absl::StrJoin(spec.model().program().command(), " ")
                               : absl::StrCat(spec.model().name(), " on ", spec.data().name());
  std::fprintf(stderr, "%s: %d workers x %s%d samples a step, %d steps, %s, seed %d; %d %s\n",
               what.c_str(), training.workers(), accumulated.c_str(), training.batch_per_worker(),
               static_cast<int>(training.steps()), spec.transport().name().c_str(),
               static_cast<int>(training.seed()), static_cast<int>(specs.size()),
               specs.size() == 1 ? "run" : "arms");
  for (const RunSpec& arm : specs) {
    const std::string memory = MemoryTextOf(arm);
    if (!memory.empty()) std::fprintf(stderr, "memory of %s\n", memory.c_str());
  }
}

absl::StatusOr<TuningPlan> PlanTuningOf(const RunFlags& flags, const RunSpec& base,
                                        const std::vector<std::string>& arms) {
  const Environment environment = ReadEnvironment();
  InputsReader inputs;
  return PlanTuning(
      base, arms, flags.spec.sets(), flags.tuning,
      [&](const RunSpec& spec) { return ResolveAndValidate(spec, environment.default_data_dir); },
      [&](const RunSpec& spec) { return inputs.Read(spec); });
}

// Of an error before the comparison's first run: tuning alone has runs that can fail.
int ExitCodeOf(const RunFlags& flags, const absl::Status& status) {
  const bool has_run = !flags.tuning.grids.empty();
  return has_run && !absl::IsInvalidArgument(status) ? kExitFailedRun : kExitUserError;
}

// Runs are kept in a store of their own, below --out: the same command goes on where it was, and
// reports of the comparison leave them out.
absl::StatusOr<std::vector<TunedArm>> Tune(const RunFlags& flags, const TuningPlan& plan) {
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(flags.out + "/tuning"));
  std::fprintf(stderr, "tuning: %zu runs of %lld samples each, kept in %s/tuning\n",
               plan.runs.cells.size(), static_cast<long long>(plan.base.tuning().budget_samples()),
               flags.out.c_str());
  TerminalWatcher watcher;
  SweepOptions options;
  options.device = flags.device;
  options.interrupted = &InterruptFlag();
  options.outputs = flags.out + "/tuning/programs";
  RM_ASSIGN_OR_RETURN(std::vector<TunedArm> arms, RunTuning(plan, *store, options, watcher));
  for (const std::string& warning : EdgeWarnings(arms)) Log(LogLevel::kWarning, warning);
  return arms;
}

// The arms' resolved specs, with their best values where something is tuned; `*tuned` has what that
// was found from, by arm.
absl::StatusOr<std::vector<RunSpec>> SpecsToRun(const RunFlags& flags,
                                                const std::vector<std::string>& arms,
                                                std::vector<TunedArm>* tuned) {
  RM_ASSIGN_OR_RETURN(const RunSpec base, LoadBase(flags.spec_file, flags.out, flags.spec));
  // What is wrong with the comparison itself is found before anything is tuned for it.
  RM_ASSIGN_OR_RETURN(std::vector<RunSpec> untuned, BuildSpecs(base, arms, flags.spec.sets()));
  if (flags.tuning.grids.empty()) {
    if (flags.tuning.budget_samples == 0) return untuned;
    return absl::InvalidArgumentError("--budget is for --tune, which is not given");
  }
  RM_ASSIGN_OR_RETURN(const TuningPlan plan, PlanTuningOf(flags, base, arms));
  RM_RETURN_IF_ERROR(PrepareOutputs(&untuned));
  RM_ASSIGN_OR_RETURN(*tuned, Tune(flags, plan));
  std::vector<RunSpec> specs;
  for (const TunedArm& arm : *tuned) specs.push_back(arm.spec);
  return ResolveAll(std::move(specs));
}

// What tuning would run, in the order of its runs.
absl::StatusOr<std::string> TuningText(const RunFlags& flags,
                                       const std::vector<std::string>& arms) {
  RM_ASSIGN_OR_RETURN(const RunSpec base, LoadBase(flags.spec_file, flags.out, flags.spec));
  RM_ASSIGN_OR_RETURN(const TuningPlan plan, PlanTuningOf(flags, base, arms));
  return PlanText(plan.runs, {});
}

int Fail(const absl::Status& status, int code) {
  Log(LogLevel::kError, status.message());
  return code;
}

// The faults that --fault wants, which some arm can have. InvalidArgument: a mistake in them.
absl::StatusOr<std::vector<Fault>> FaultsFor(const RunFlags& flags,
                                             const std::vector<FaultedArm>& arms) {
  RM_ASSIGN_OR_RETURN(std::vector<Fault> faults, ReadFaults(flags.faults));
  RM_RETURN_IF_ERROR(CheckFaults(faults, arms));
  if (faults.empty() || flags.gate <= 0) return faults;
  return absl::InvalidArgumentError(
      "--gate with --fault: a run that something is done to measures no machine; leave one out");
}

std::vector<FaultedArm> FaultedArms(const std::vector<RunSpec>& specs) {
  std::vector<FaultedArm> arms;
  for (const RunSpec& spec : specs) {
    arms.push_back(
        {spec.name(), TraitsOf(spec), {spec.output().resume_step(), spec.training().steps()}});
  }
  return arms;
}

// What would be done to the arms. Returns the exit code.
int ShowFaults(const RunFlags& flags, const std::vector<RunSpec>& specs) {
  const std::vector<FaultedArm> arms = FaultedArms(specs);
  const absl::StatusOr<std::vector<Fault>> faults = FaultsFor(flags, arms);
  if (!faults.ok()) return Fail(faults.status(), kExitUserError);
  for (const std::string& line : FaultLines(*faults, arms))
    std::printf("# fault %s\n", line.c_str());
  return kExitOk;
}

// Before anything runs: what else keeps this machine busy.
void WarnOfLoad() {
  const Conditions now = WatchMachine(kWatched);
  const std::vector<std::string> causes = DisturbanceCauses({&now});
  if (causes.empty()) return;
  Log(LogLevel::kWarning, absl::StrCat("this machine is not quiet: ", absl::StrJoin(causes, "; "),
                                       " during the last ", absl::FormatDuration(kWatched),
                                       "; figures will be doubtful: end what else runs, or wait"));
}

// Where the arms' checkpoints lie: for --checkpoint-every, unless the user says.
void NameCheckpoints(const RunFlags& flags, std::vector<RunSpec>* specs) {
  for (RunSpec& spec : *specs) {
    if (spec.training().checkpoint_every_steps() == 0 || !spec.output().checkpoints().empty())
      continue;
    spec.mutable_output()->set_checkpoints(flags.out + "/checkpoints/{arm}");
    spec.mutable_output()->set_checkpoints_kept(2);
  }
}

// Has the arms go on from their newest checkpoints, with --resume, or makes sure that there are
// none. `*refused`: by arm, newer ones.
absl::Status FindCheckpoints(const RunFlags& flags, std::vector<RunSpec>* specs,
                             std::vector<std::vector<std::string>>* refused) {
  for (RunSpec& spec : *specs) {
    const std::string& folder = spec.output().checkpoints();
    if (flags.resume && folder.empty()) {
      return absl::InvalidArgumentError(
          "--resume: nothing says when checkpoints are made; say --checkpoint-every as the run "
          "did");
    }
    if (!flags.resume) {
      refused->emplace_back();
      if (!folder.empty()) RM_RETURN_IF_ERROR(CheckNoCheckpoints(folder));
      continue;
    }
    refused->push_back(ResumeFromNewest(&spec));
    for (const std::string& why : refused->back()) Log(LogLevel::kWarning, why);
    const int64_t step = spec.output().resume_step();
    if (step == 0 && !refused->back().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--resume: arm ", spec.name(), " can go on from none of the checkpoints in ", folder,
          ", for the reasons above; give the settings that they were made with, or remove the "
          "folder to begin anew"));
    }
    std::fprintf(stderr, "%s %s\n", spec.name().c_str(),
                 step > 0 ? absl::StrCat("goes on from step ", step).c_str()
                          : absl::StrCat("begins anew: no checkpoint in ", folder).c_str());
  }
  return absl::OkStatus();
}

// What a run would do if a process of it were lost; empty: it would end.
std::string AfterALoss(const RunSpec& spec) {
  if (GoesOn(spec)) return "those left would go on where they are";
  if (MayReform(spec)) return "those left would form a group anew and make the step again";
  if (!StartsAgain(spec)) return "";
  const int64_t every = spec.training().checkpoint_every_steps();
  return absl::StrCat("all processes would be started again, from the ",
                      every > 0 ? absl::StrCat("newest checkpoint, one every ", every, " steps")
                                : "beginning: --checkpoint-every STEPS would keep what was made");
}

// What would run, without its outputs.
int ShowArms(const RunFlags& flags, const std::vector<std::string>& arms) {
  if (const absl::Status known = CheckColumns(flags.columns); !known.ok())
    return Fail(known, kExitUserError);
  if (flags.tuning.grids.empty()) {
    std::vector<TunedArm> none;
    absl::StatusOr<std::vector<RunSpec>> specs = SpecsToRun(flags, arms, &none);
    if (specs.ok()) {
      NameCheckpoints(flags, &*specs);
      absl::Status named = NameOutputs(&*specs);
      std::vector<std::vector<std::string>> refused;
      if (named.ok()) named = FindCheckpoints(flags, &*specs, &refused);
      if (!named.ok()) specs = named;
    }
    const int code = ShowSpecs(specs);
    if (code == kExitOk && specs->size() > 1) {
      const std::string why = WhyOneByOne(*specs, flags.one_by_one());
      std::printf("# these arms would %s%s\n",
                  why.empty() ? "take turns" : "run one after the other: ", why.c_str());
    }
    for (size_t arm = 0; code == kExitOk && arm < specs->size(); ++arm) {
      const std::string memory = MemoryTextOf((*specs)[arm]);
      if (!memory.empty()) std::printf("# memory of %s\n", memory.c_str());
      const std::string text = AfterALoss((*specs)[arm]);
      if (text.empty()) continue;
      std::printf("# a process of %s is lost: %s\n", (*specs)[arm].name().c_str(), text.c_str());
    }
    return code == kExitOk ? ShowFaults(flags, *specs) : code;
  }
  const absl::StatusOr<std::string> text = TuningText(flags, arms);
  if (!text.ok()) return Fail(text.status(), kExitUserError);
  std::printf("%s", text->c_str());
  return kExitOk;
}

// After Ctrl-C: how the same command goes on.
void TellHowToGoOn(const std::vector<RunSpec>& specs) {
  const bool can_go_on = std::any_of(specs.begin(), specs.end(), [](const RunSpec& spec) {
    return !CheckpointSteps(spec.output().checkpoints()).empty();
  });
  if (can_go_on)
    std::fprintf(stderr, "there are checkpoints: the same command with --resume goes on\n");
}

int RunAll(const RunFlags& flags, const std::vector<std::string>& arms) {
  if (const absl::Status known = CheckColumns(flags.columns); !known.ok()) {
    return Fail(Annotate(known, "--columns"), kExitUserError);
  }
  std::vector<TunedArm> tuned;  // by arm; empty: nothing is tuned
  absl::StatusOr<std::vector<RunSpec>> specs = SpecsToRun(flags, arms, &tuned);
  std::vector<std::vector<std::string>> refused;  // checkpoints, by arm
  if (specs.ok()) {
    NameCheckpoints(flags, &*specs);
    absl::Status prepared = PrepareOutputs(&*specs);
    if (prepared.ok()) prepared = FindCheckpoints(flags, &*specs, &refused);
    if (!prepared.ok()) specs = prepared;
  }
  std::vector<Fault> faults;
  if (specs.ok()) {
    absl::StatusOr<std::vector<Fault>> wanted = FaultsFor(flags, FaultedArms(*specs));
    if (!wanted.ok()) return Fail(wanted.status(), kExitUserError);
    faults = *std::move(wanted);
  }
  if (!specs.ok()) return Fail(specs.status(), ExitCodeOf(flags, specs.status()));
  for (const RunSpec& spec : *specs) {
    const absl::Status fits = CheckMachine(spec, flags.device);
    if (!fits.ok()) return Fail(fits, kExitUserError);
  }
  absl::StatusOr<Outcome> outcome = Outcome::Open(flags.out);
  if (!outcome.ok()) return Fail(outcome.status(), kExitUserError);
  TellOfWeights(*specs);
  for (const std::string& line : FaultLines(faults, FaultedArms(*specs))) outcome->AddNote(line);
  Announce(*specs);
  WarnOfLoad();
  ComparedArms all(
      {flags.device, flags.gate, flags.one_by_one(), refused, faults, flags.out + "/programs"},
      *specs, tuned, &*outcome);
  int code = all.Train();
  if (code == kExitOk) code = all.Gate();
  if (!outcome->empty()) outcome->Print(flags.json, flags.columns);
  if (!InterruptFlag()) return code;
  TellHowToGoOn(*specs);
  return kExitInterrupted;
}

void DeclareCommon(Command command, RunFlags* flags) {
  command.AddOption("--out", &flags->out, "folder of results.jsonl and results.sqlite")
      .ShowDefault();
  command.AddOption("--device", &flags->device, "GPU that the ranks share, where there is one")
      .Between(0, 1023);
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  command
      .AddOption("--columns", &flags->columns,
                 "figures that the table shows instead of the usual ones, comma-separated; "
                 "`ringmaster list` has them all")
      .Commas()
      .Takes("LIST");
  command.AddFlag("--resume", &flags->resume,
                  "go on from the newest checkpoint of each arm that is whole, undamaged and of "
                  "this very run; with the flags of the run that was stopped");
  command.AddOption("--fault", &flags->faults, kFaultHelp).Takes("FAULT");
  flags->spec.Declare(command);
}

}  // namespace

void DeclareCompare(Command program, Action* action) {
  Command command =
      program.AddCommand("compare", "train under several arms and show one table (the main job)");
  command.SetFooter(kCompareFooter);
  auto flags = std::make_shared<RunFlags>();
  command
      .AddOption(
          "--arms", &flags->arms,
          absl::StrCat(
              "arms, comma-separated, each with a codec behind a plus if it sends floats, as in "
              "ring+int8 [",
              absl::StrJoin(DefaultArms(), ","), "]; `ringmaster list` has more"))
      .Commas()
      .Takes("LIST");
  command.AddOption("--base", &flags->spec_file, "run spec (textproto) that the arms start from");
  command
      .AddOption(
          "--gate", &flags->gate,
          "compare the first arm's first turn with its last one (where it has no two turns of at "
          "least 5 timed steps: run its first steps once more at the end); if steps take more than "
          "so many percent longer or shorter, the comparison is not quotable (exit code 3)")
      .Between(0.01, 1000.0)
      .Takes("PCT");
  command.AddFlag("--no-turns", &flags->no_turns, "run the arms one after the other");
  DeclareCommon(command, flags.get());
  command
      .AddOption(
          "--tune", &flags->tuning.grids,
          "first find each arm's best value of a field, by final training loss: "
          "learning_rate=0.02:0.5:x2 tries 0.02, 0.04, ... up to 0.5; 0.1:0.5:+0.1 and 1,2,4 "
          "work too. Several times: all combinations")
      .Takes("FIELD=GRID");
  command
      .AddOption("--budget", &flags->tuning.budget_samples,
                 "samples that --tune trains for each value, all workers together")
      .Takes("SAMPLES");
  command.OnChosen([action, flags] {
    const std::vector<std::string> arms = flags->arms.empty() ? DefaultArms() : flags->arms;
    *action = {[flags, arms] { return RunAll(*flags, arms); },
               [flags, arms] { return ShowArms(*flags, arms); }};
  });
}

void DeclareRun(Command program, Action* action) {
  Command command = program.AddCommand("run", "run one spec file");
  auto flags = std::make_shared<RunFlags>();
  command.AddOption("SPEC", &flags->spec_file, "run spec (textproto, proto/run_spec.proto)")
      .Required()
      .Refuse([](const std::string& file) { return file.empty() ? "\"\": expected a file" : ""; });
  DeclareCommon(command, flags.get());
  command.OnChosen([action, flags] {
    *action = {[flags] { return RunAll(*flags, {}); }, [flags] { return ShowArms(*flags, {}); }};
  });
}

}  // namespace ringmaster
