#include "experiments/program/run/run_arm.h"

#include <signal.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/build_stamp/build_stamp.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/describe.h"
#include "common/config/is_program.h"
#include "common/config/load.h"
#include "common/control/last_words.h"
#include "common/engine/engine_names.h"
#include "common/engine/one_device_each.h"
#include "common/log/log.h"
#include "common/machine/conditions.h"
#include "common/machine/machine.h"
#include "common/scheme/registry.h"
#include "common/trace/node_traces.h"
#include "common/trace/skew.h"
#include "experiments/program/run/attempts/launched_processes.h"
#include "experiments/program/run/attempts/memory_file.h"
#include "experiments/program/run/attempts/merged_reports.h"
#include "experiments/program/run/attempts/restarts.h"
#include "experiments/program/run/attempts/run_clock.h"
#include "experiments/program/run/attempts/was_stopped.h"
#include "experiments/program/run/children.h"
#include "experiments/program/run/descriptors.h"
#include "experiments/program/run/faults/injected_faults.h"
#include "experiments/program/run/hosts/record_hosts.h"
#include "experiments/program/run/job_credentials.h"
#include "experiments/program/run/join_limit.h"
#include "experiments/program/run/losses.h"
#include "experiments/program/run/memory/memory_check.h"
#include "experiments/program/run/node.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/programs/program_ranks.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/program/run/starting_processes.h"
#include "proto/run_record.pb.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(50);
// How long processes may take to end by themselves once the run is over; mpirun, which ends its
// ranks and cleans up.
constexpr absl::Duration kEndLimit = absl::Seconds(1);
constexpr absl::Duration kMpirunEndLimit = absl::Seconds(5);
// When a signal has ended it: this program must have ended within two seconds.
constexpr absl::Duration kInterruptLimit = absl::Milliseconds(500);
constexpr absl::Duration kInterruptWordsLimit = absl::Milliseconds(200);
// How long a death is held until the process's end has been noticed here, which is looked for every
// kPoll.
constexpr absl::Duration kCauseTime = absl::Seconds(1);
// A process that has not joined and has used no processor time for so long is not waited for beyond
// the limit.
constexpr absl::Duration kStartingPatience = absl::Seconds(5);

EngineGpus GpusOf(const RunSpec& spec) { return EngineGpusOf(TraitsOf(spec).engine); }

// The ranks of other runs share the one they are told.
bool NeedsDeviceEach(const RunSpec& spec) { return GpusOf(spec) == EngineGpus::kOneEach; }

// The launcher of an MPI that has to start the ranks; empty: they are started here.
std::string MpiLauncherOf(const RunSpec& spec) {
  return std::string(EngineLauncherOf(TraitsOf(spec).engine));
}
bool NeedsMpirun(const RunSpec& spec) { return !MpiLauncherOf(spec).empty(); }

// Whether its processes read their spec from a file.
bool NeedsFile(const RunSpec& spec) { return NeedsMpirun(spec) || IsProgram(spec); }

// How often its processes may be started again.
RestartRules RestartRulesOf(const RunSpec& spec) {
  const SchemeTraits traits = TraitsOf(spec);
  RestartRules rules;
  if (StartsAgain(spec))
    rules.most = spec.limits().has_restarts() ? spec.limits().restarts() : kRestartsDefault;
  rules.workers = spec.training().workers();
  rules.claims = traits.work == Work::kClaimed;
  if (traits.servers > 0 && traits.updates == Updates::kOnArrival)
    rules.steps_per_update = std::max(1, traits.local_steps);
  rules.makes_checkpoints = !spec.output().checkpoints().empty();
  return rules;
}

// How far workers had come, by what their processes said last.
StepsMade StepsOf(const std::vector<LastWords>& words) {
  StepsMade steps;
  int64_t ended = 0;
  bool all_told = !words.empty();
  for (const LastWords& of_process : words) {
    bool has_workers = of_process.nodes().empty();  // nobody knows
    for (const NodeLastWords& node : of_process.nodes()) {
      if (node.activity().node().server()) continue;
      has_workers = true;
      steps.latest = std::max(steps.latest, node.activity().step());
      ended += node.activity().step();
    }
    if (has_workers && !of_process.silent_because().empty()) all_told = false;
  }
  if (all_told) steps.ended = ended;
  return steps;
}

// Has the run go on from its newest checkpoint, or begin anew where none can be used.
absl::Status GoBack(RunSpec* spec) {
  const std::string& folder = spec->output().checkpoints();
  if (folder.empty()) return absl::OkStatus();
  for (const std::string& why : ResumeFromNewest(spec)) Log(LogLevel::kWarning, why);
  return spec->output().has_resume_step() ? absl::OkStatus() : RemoveCheckpointsAfter(folder, 0);
}

// Processes that ended: what is not yet done of the run fails with that, whether they had joined or
// not.
void NoteEnds(const RunSpec& spec, Children* children, Coordinator* coordinator) {
  for (const auto& [process, how] : children->Reap()) {
    if (!NeedsMpirun(spec)) {
      coordinator->NoteEnd(process, NamesOf(PlaceNodes(spec)[process]), how);
      continue;
    }
    const std::vector<ProcessState> states = coordinator->Processes();
    const auto joined = [](const ProcessState& state) { return state.joined; };
    if (std::all_of(states.begin(), states.end(), joined)) continue;
    coordinator->Abort(absl::UnavailableError(
        absl::StrCat(MpiLauncherOf(spec), " ended with ", how,
                     " before all its ranks joined the run; what they said stands above")));
  }
}

// Of the processes that the run goes on without: ends those that are still there, suspended or
// hanging, and says of each once what follows. `told`: how many that were said before.
void DealWithLosses(const RunSpec& spec, Coordinator* coordinator, Children* children,
                    size_t* told) {
  const std::vector<ProcessState> states = coordinator->Processes();
  for (size_t process = 0; process < states.size(); ++process) {
    const pid_t pid = states[process].lost ? children->pid(static_cast<int>(process)) : 0;
    if (pid > 0) kill(pid, SIGKILL);
  }
  const std::vector<Loss> losses = coordinator->Losses();
  for (; *told < losses.size(); ++*told) {
    Log(LogLevel::kWarning, absl::StrCat(spec.name(), ": lost ", LossText(losses[*told]),
                                         GoesOn(spec) ? "; those left go on where they are"
                                                      : "; those left form a group anew"));
  }
}

// Waits for the processes of a run that is over. Returns its status, if a failure with what
// its launcher's end tells of it: how one of its ranks has ended nobody else knows.
absl::Status EndProcesses(const RunSpec& spec, const RunArmOptions& options,
                          const absl::Status& status, Children* children) {
  const bool interrupted = options.interrupted != nullptr && *options.interrupted;
  const absl::Duration limit = interrupted         ? kInterruptLimit
                               : NeedsMpirun(spec) ? kMpirunEndLimit
                               : IsProgram(spec)   ? ProgramEndLimit(!status.ok())
                                                   : kEndLimit;
  const auto ended = children->WaitOrKill(MonotonicNow() + limit);
  if (!NeedsMpirun(spec) || ended.empty() || !absl::IsUnavailable(status)) return status;
  return Annotate(status, absl::StrCat(MpiLauncherOf(spec), " ended with ", ended.front().second));
}

// A run on this machine: attempts at it, each by processes of its own, one after the other.
class LedRun {
 public:
  using Reports = std::vector<ProcessReport>;

  LedRun(const RunSpec& spec, const RunArmOptions& options)
      : options_(options), spec_(spec), restarts_(RestartRulesOf(spec)) {}

  // Returns what the last attempt came to. `record` gets the last words of one that failed.
  absl::StatusOr<Reports> Run(RunRecord* record) {
    if (StartsAgain(spec_)) {
      RM_ASSIGN_OR_RETURN(clock_, RunClock::Create());
    }
    for (;;) {
      bool again = false;
      absl::StatusOr<Reports> result = MakeAttempt(record, &again);
      if (!again && !result.ok()) return restarts_.StatusOf(result.status());
      if (!again) return result;
      if (IsInterrupted()) return absl::CancelledError("interrupted");
      RM_RETURN_IF_ERROR(GoBack(&spec_));
      Log(LogLevel::kWarning,
          absl::StrCat(spec_.name(), ": ", restarts_.StartFrom(spec_.output().resume_step())));
    }
  }

  // Processes that were lost, and that the run went on after, in order.
  std::vector<Loss> Losses() const {
    std::vector<Loss> losses = restarts_.losses();
    losses.insert(losses.end(), gone_on_after_.begin(), gone_on_after_.end());
    return losses;
  }

 private:
  bool IsInterrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }

  // `*again`: it ended by a loss, and the run is to be started again.
  absl::StatusOr<Reports> MakeAttempt(RunRecord* record, bool* again) {
    const std::string token = NewToken();
    RM_ASSIGN_OR_RETURN(const JobCredentials credentials,
                        CredentialsFor(spec_.transport().security(), token));
    StartingProcesses starting(kStartingPatience);
    CoordinatorOptions leads = CoordinatorOptionsOf(
        spec_, {WithoutBrackets(spec_.transport().listen_address()), 0}, credentials);
    leads.starting_limit = kStartingFactor * leads.join_limit;
    leads.is_starting = [&starting](int32_t process) { return starting.GetsOn(process); };
    if (!NeedsMpirun(spec_)) leads.cause_time = kCauseTime;
    RM_ASSIGN_OR_RETURN(const std::unique_ptr<Coordinator> coordinator, Coordinator::Start(leads));
    Children children;
    const MemoryFile text(NeedsFile(spec_) ? SerializeRunSpec(spec_) : "");
    const absl::Status started = Start(token, text, coordinator.get(), &children, &starting);
    if (!started.ok()) coordinator->Abort(started);
    AwaitEnd(coordinator.get(), &children);
    return End(coordinator.get(), &children, record, again);
  }

  absl::Status Start(const std::string& token, const MemoryFile& text, Coordinator* coordinator,
                     Children* children, StartingProcesses* starting) {
    LaunchPlan& plan = plan_;
    plan = LaunchPlan();
    plan.spec = SerializeRunSpec(spec_);
    plan.fingerprint = FingerprintText(spec_);
    plan.processes = TraitsOf(spec_).processes;
    plan.coordinator = coordinator->endpoint();
    plan.token = token;
    plan.device = options_.device;
    plan.one_device_each = NeedsDeviceEach(spec_);
    plan.hooks.turns = options_.turns;
    if (options_.faults != nullptr) plan.hooks.faults = options_.faults->path();
    if (clock_ != nullptr) plan.hooks.clock = clock_->path();
    if (NeedsFile(spec_)) {
      RM_RETURN_IF_ERROR(text.status());
      plan.spec_file = text.path();
    }
    if (NeedsMpirun(spec_))
      return StartByMpirun(plan, {MpiLauncherOf(spec_), spec_.transport().name()}, children);
    RM_RETURN_IF_ERROR(UseProgram(spec_, options_.outputs, &plan));
    return StartProcesses(plan, children, [&](int32_t process, pid_t pid) {
      coordinator->NoteStarted(process, pid);
      starting->Add(pid);
    });
  }

  // Until the attempt is over.
  void AwaitEnd(Coordinator* coordinator, Children* children) const {
    size_t told = 0;
    while (!coordinator->WaitFor(kPoll)) {
      if (IsInterrupted()) coordinator->Abort(absl::CancelledError("interrupted"));
      NoteEnds(spec_, children, coordinator);
      if (options_.faults != nullptr) options_.faults->LetGoOn();
      if (MayReform(spec_) || GoesOn(spec_)) DealWithLosses(spec_, coordinator, children, &told);
      if (!options_.progress) continue;
      ArmProgress progress = ProgressOf(coordinator->Processes(), spec_);
      progress.seconds = absl::ToDoubleSeconds(MonotonicNow() - begin_);
      options_.progress(progress);
    }
  }

  // The attempt is over: notes what it came to, and ends its processes.
  absl::StatusOr<Reports> End(Coordinator* coordinator, Children* children, RunRecord* record,
                              bool* again) {
    absl::StatusOr<Reports> result = coordinator->Result();
    FillHosts(coordinator->Processes(), record);
    std::optional<EndingLoss> loss = coordinator->EndedByLoss();
    if (IsInterrupted() || !restarts_.are_left()) loss.reset();
    if (loss.has_value()) {
      // Suspended it would never end by itself.
      const pid_t pid = NeedsMpirun(spec_) ? 0 : children->pid(loss->process);
      if (pid > 0) kill(pid, SIGKILL);
    } else if (options_.faults != nullptr) {
      options_.faults->RunIsOver();
    }
    const std::vector<LastWords> words =
        coordinator->AwaitLastWords(IsInterrupted() ? kInterruptWordsLimit : kLastWordsLimit);
    *again = restarts_.AttemptEnds(loss, coordinator->Moments(), StepsOf(words));
    if (!*again) FillLastWords(words, record);
    const std::vector<Loss> losses = coordinator->Losses();
    gone_on_after_.insert(gone_on_after_.end(), losses.begin(), losses.end());
    const absl::Status status = EndProcesses(spec_, options_, result.status(), children);
    if (!status.ok()) result = status;
    const std::string said = *again || IsInterrupted() ? "" : LastOutput(result.status(), plan_);
    if (!said.empty()) Log(LogLevel::kError, said);
    return result;
  }

  const RunArmOptions& options_;
  const MonotonicTime begin_ = MonotonicNow();
  RunSpec spec_;     // of this attempt
  LaunchPlan plan_;  // and how its processes were started
  Restarts restarts_;
  std::unique_ptr<RunClock> clock_;  // null: the run is never started again
  std::vector<Loss> gone_on_after_;  // within an attempt
};

}  // namespace

std::string NewToken() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

CoordinatorOptions CoordinatorOptionsOf(const RunSpec& spec, const HostPort& listen_at,
                                        const JobCredentials& credentials) {
  CoordinatorOptions options;
  options.listen_at = listen_at;
  options.credentials = credentials;
  options.spec_fingerprint = SpecFingerprint(spec);
  options.processes = TraitsOf(spec).processes;
  options.join_limit = JoinLimit(spec);
  if (const int64_t lots = ClaimedLots(spec); lots > 0)
    options.claims = {spec.output().resume_step() * spec.training().workers(), lots,
                      spec.training().workers(), PushesSayLots(spec)};
  options.losses = LossRulesOf(spec);
  options.waits.wait = absl::Seconds(spec.limits().wait_seconds());
  if (spec.limits().has_compute_seconds())
    options.waits.compute = absl::Seconds(spec.limits().compute_seconds());
  const SchemeTraits traits = TraitsOf(spec);
  options.waits.asynchronous =
      traits.updates == Updates::kOnArrival && !traits.staleness_bound.has_value();
  // Ten heartbeats may be lost to a busy machine; a hang is still found within the limit of any
  // wait.
  options.silence_limit = absl::Seconds(std::min(
      spec.limits().wait_seconds(), std::max(1.0, 10 * spec.limits().heartbeat_seconds())));
  return options;
}

ArmProgress ProgressOf(const std::vector<ProcessState>& processes, const RunSpec& spec) {
  ArmProgress progress;
  progress.steps = spec.training().steps();
  progress.marks = IsScored(spec) ? MarkCopies(spec) + 1 : 0;
  const bool claims = TraitsOf(spec).work == Work::kClaimed;
  int64_t all_steps = 0, count = 0;
  bool first = true;
  for (const ProcessState& process : processes) {
    progress.pids.push_back(process.joined ? process.pid : 0);
    if (!process.joined || process.lost || process.last.phase() == "serve") continue;
    // The slowest worker's step is the run's; where work is claimed, the mean of all.
    progress.step = first ? process.last.step() : std::min(progress.step, process.last.step());
    all_steps += process.last.step();
    ++count;
    if (first) {
      progress.loss = process.last.loss();
      progress.samples_per_second = process.last.samples_per_second();
      progress.test_accuracy = process.last.test_accuracy();
      progress.phase = process.last.phase();
      progress.scored_marks = process.last.scored_marks();
    }
    first = false;
  }
  if (claims && count > 0) progress.step = std::min(progress.steps, all_steps / count);
  return progress;
}

RunRecord NewRecord(const RunSpec& spec) {
  RunRecord record;
  const absl::Time now = absl::Now();  // a date, not a duration
  record.set_run_id(absl::StrCat(absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()), "-",
                                 NewToken().substr(0, 8)));
  record.set_started_at(absl::FormatTime(absl::RFC3339_sec, now, absl::UTCTimeZone()));
  *record.mutable_spec() = spec;
  if (spec.output().has_resume_step())
    record.mutable_resumption()->set_step(spec.output().resume_step());
  *record.mutable_build() = GetBuildStamp();
  *record.mutable_machine() = DescribeMachine();
  record.mutable_machine()->set_blas(DescribeCpuBlas());
  record.mutable_machine()->set_gpu(DescribeCuda().value_or(""));
  return record;
}

void FillRecord(const absl::StatusOr<std::vector<ProcessReport>>& result, RunRecord* record) {
  if (!result.ok()) {
    record->set_status(result.status().ToString());
    record->set_stopped(WasStopped(result.status()));
    return;
  }
  record->set_status("ok");
  for (const ProcessReport& report : *result) *record->add_reports() = report;
  MoveInputs(record);
  MoveConfinements(record);
  const SchemeTraits traits = TraitsOf(record->spec());
  // Whoever sends ahead waits for what others had before they computed, or for the step before;
  // who is late is not waited for.
  const bool wait_for_gradients = traits.exchanges && traits.updates == Updates::kTogether &&
                                  traits.backup_workers == 0 && traits.delay == 0 &&
                                  traits.exchanged != Exchanged::kWeightsAhead;
  MeasureSkew(wait_for_gradients, record->mutable_reports());
  AlignTraces(record->mutable_reports());
  MergeEvaluations(record);
  for (const ProcessReport& process : record->reports()) {
    for (const WorkerReport& worker : process.workers()) {
      record->mutable_machine()->set_kernel_target(worker.kernel_target());
    }
  }
}

void FillLastWords(const std::vector<LastWords>& words, RunRecord* record) {
  for (const LastWords& of_process : words) *record->add_last_words() = of_process;
  AlignLastEvents(record->mutable_last_words());
}

absl::Status CheckDevices(const RunSpec& spec, int first_device) {
  if (GpusOf(spec) == EngineGpus::kNone) return absl::OkStatus();
  const absl::StatusOr<int> devices = CudaDeviceCount();
  if (!devices.ok()) {
    return Annotate(devices.status(), absl::StrCat("collective \"", TraitsOf(spec).engine, "\""));
  }
  if (!NeedsDeviceEach(spec)) return absl::OkStatus();
  return CheckOneDeviceEach({TraitsOf(spec).processes, first_device, *devices});
}

absl::Status CheckMachine(const RunSpec& spec, int first_device) {
  RM_RETURN_IF_ERROR(CredentialsFor(spec.transport().security(), "").status());
  RM_RETURN_IF_ERROR(CheckDescriptors(TraitsOf(spec).processes));
  RM_RETURN_IF_ERROR(CheckAddressSpace(spec));
  RM_RETURN_IF_ERROR(Annotate(CheckMemoryHere(spec), spec.name()));
  return CheckDevices(spec, first_device);
}

RunRecord RunArm(const RunSpec& spec, const RunArmOptions& options) {
  RunRecord record = NewRecord(spec);
  FillMemoryNeeds(&record);
  if (const absl::Status fits = CheckMachine(spec, options.device); !fits.ok()) {
    FillRecord(fits, &record);
    return record;
  }
  const ConditionsMeter conditions;
  LedRun run(spec, options);
  const absl::StatusOr<std::vector<ProcessReport>> result = run.Run(&record);
  *record.mutable_conditions() = conditions.End();
  FillRecord(result, &record);
  FillLosses(run.Losses(), &record);
  // What was to happen to it has happened.
  if (options.faults != nullptr && !absl::IsCancelled(result.status())) record.set_stopped(false);
  return record;
}

}  // namespace ringmaster
