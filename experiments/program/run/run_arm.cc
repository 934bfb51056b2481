#include "experiments/program/run/run_arm.h"

#include <signal.h>

#include <algorithm>
#include <map>
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
#include "common/config/describe.h"
#include "common/config/load.h"
#include "common/engine/engine_names.h"
#include "common/engine/one_device_each.h"
#include "common/control/last_words.h"
#include "common/log/log.h"
#include "common/machine/conditions.h"
#include "common/machine/machine.h"
#include "common/scheme/registry.h"
#include "common/trace/node_traces.h"
#include "common/trace/skew.h"
#include "common/trace/training_clock.h"
#include "experiments/program/run/children.h"
#include "experiments/program/run/descriptors.h"
#include "experiments/program/run/faults/injected_faults.h"
#include "experiments/program/run/job_credentials.h"
#include "experiments/program/run/join_limit.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/losses.h"
#include "experiments/program/run/memory_file.h"
#include "experiments/program/run/mpirun.h"
#include "experiments/program/run/node.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/resolve_spec.h"
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

// What nodes are told of those who do something to their steps.
void AddHooks(const RunArmOptions& options, std::vector<std::string>* arguments) {
  if (!options.turns.empty()) arguments->insert(arguments->end(), {"--turns", options.turns});
  if (options.faults != nullptr)
    arguments->insert(arguments->end(), {"--faults", options.faults->path()});
}

EngineGpus GpusOf(const RunSpec& spec) { return EngineGpusOf(TraitsOf(spec).engine); }

// The ranks of other runs share the one they are told.
bool NeedsDeviceEach(const RunSpec& spec) { return GpusOf(spec) == EngineGpus::kOneEach; }

bool NeedsMpirun(const RunSpec& spec) { return TraitsOf(spec).engine == "mpi"; }

absl::Status StartMpirun(const RunSpec& spec, const RunArmOptions& options,
                         const HostPort& endpoint, const std::string& token, const MemoryFile& text,
                         Children* children) {
  const int32_t processes = TraitsOf(spec).processes;
  RM_RETURN_IF_ERROR(text.status());
  std::vector<std::string> arguments = {"node",
                                        text.path(),
                                        "--joins",
                                        "--resolved",
                                        FingerprintText(spec),
                                        "--world-size",
                                        absl::StrCat(processes),
                                        "--coordinator",
                                        endpoint.ToString(),
                                        "--device",
                                        absl::StrCat(options.device)};
  AddHooks(options, &arguments);
  if (LogsDebug()) arguments.push_back("--verbose");
  MpirunOptions mpirun;
  mpirun.ranks = processes;
  mpirun.transport = spec.transport().name();
  absl::StatusOr<ChildProgram> program =
      Mpirun(mpirun, arguments, {absl::StrCat(kTokenVariable, "=", token)});
  return program.ok() ? children->Start(*program) : program.status();
}

absl::Status StartProcesses(const RunSpec& spec, const RunArmOptions& options,
                            const HostPort& endpoint, const std::string& token,
                            Coordinator* coordinator, Children* children,
                            StartingProcesses* starting) {
  const int32_t processes = TraitsOf(spec).processes;
  const std::string text = SerializeRunSpec(spec);
  const std::string fingerprint = FingerprintText(spec);
  const bool one_device_each = NeedsDeviceEach(spec);
  for (int32_t process = 0; process < processes; ++process) {
    ChildProgram program;
    program.arguments = {"node",
                         "-",
                         "--joins",
                         "--resolved",
                         fingerprint,
                         "--rank",
                         absl::StrCat(process),
                         "--world-size",
                         absl::StrCat(processes),
                         "--coordinator",
                         endpoint.ToString(),
                         "--device",
                         absl::StrCat(options.device + (one_device_each ? process : 0))};
    AddHooks(options, &program.arguments);
    if (LogsDebug()) program.arguments.push_back("--verbose");
    program.environment = {absl::StrCat(kTokenVariable, "=", token)};
    program.input = text;
    const absl::Status started = children->Start(program);
    if (!started.ok()) return started;
    coordinator->NoteStarted(process, children->pid(process));
    starting->Add(children->pid(process));
  }
  return absl::OkStatus();
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
        absl::StrCat("mpirun ended with ", how,
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
// mpirun's end tells of it: how one of its ranks has ended nobody else knows.
absl::Status EndProcesses(const RunSpec& spec, const RunArmOptions& options,
                          const absl::Status& status, Children* children) {
  const bool interrupted = options.interrupted != nullptr && *options.interrupted;
  const absl::Duration limit = interrupted         ? kInterruptLimit
                               : NeedsMpirun(spec) ? kMpirunEndLimit
                                                   : kEndLimit;
  const auto ended = children->WaitOrKill(MonotonicNow() + limit);
  if (!NeedsMpirun(spec) || ended.empty() || !absl::IsUnavailable(status)) return status;
  return Annotate(status, absl::StrCat("mpirun ended with ", ended.front().second));
}

// All processes agree on what they read, or the run would not have begun.
void MoveInputs(RunRecord* record) {
  for (ProcessReport& process : *record->mutable_reports()) {
    if (process.has_inputs() && !record->has_inputs()) *record->mutable_inputs() = process.inputs();
    process.clear_inputs();
  }
}

// What the processes could use together is the run's part of the machine; a quota that several
// share has stopped them together.
void MoveConfinements(RunRecord* record) {
  std::vector<Confinement> processes;
  std::map<std::pair<std::string, uint64_t>, Confinement> groups;  // by boot and group
  for (ProcessReport& process : *record->mutable_reports()) {
    if (!process.has_confinement()) continue;
    const Confinement& own = processes.emplace_back(process.confinement());
    Confinement& longest = groups[{own.boot_hash(), own.quota_group()}];
    if (own.has_cpu_quota() && own.quota_periods() >= longest.quota_periods()) longest = own;
    *record->add_confinements() = own;
    process.clear_confinement();
  }
  if (processes.empty()) return;
  SetUsableCores(processes, record->mutable_machine());
  for (const auto& [group, confinement] : groups) {
    if (confinement.quota_periods() == 0) continue;
    Conditions* const conditions = record->mutable_conditions();
    conditions->set_quota_periods(conditions->quota_periods() + confinement.quota_periods());
    conditions->set_quota_throttled_periods(conditions->quota_throttled_periods() +
                                            confinement.throttled_periods());
    conditions->set_quota_throttled_seconds(conditions->quota_throttled_seconds() +
                                            confinement.throttled_seconds());
  }
}

using Pauses = google::protobuf::RepeatedPtrField<TrainingPause>;

// Puts what workers say by their own clocks on the run's, whose pauses it returns.
Pauses MergeClocks(RunRecord* record) {
  std::vector<WorkerReport*> workers;
  std::vector<const Pauses*> of_workers;
  for (ProcessReport& process : *record->mutable_reports()) {
    for (WorkerReport& worker : *process.mutable_workers()) {
      workers.push_back(&worker);
      of_workers.push_back(&worker.pauses());
    }
  }
  const Pauses common = CommonPauses(of_workers);
  for (WorkerReport* worker : workers) {
    const auto of_run = [&](double seconds) {
      return TrainingSeconds(SinceStartNs(seconds, worker->pauses()), common);
    };
    worker->set_training_seconds(of_run(worker->training_seconds()));
    for (Evaluation& share : *worker->mutable_evaluations())
      share.set_seconds(of_run(share.seconds()));
  }
  for (WorkerReport* worker : workers) worker->clear_pauses();
  return common;
}

// The time of an evaluation where servers hold the weights: when the last of them had passed the
// mark. Their times count from the start of training.
void MergeMarkTimes(RunRecord* record, const Pauses& pauses,
                    std::map<int64_t, Evaluation>* merged) {
  const std::vector<SampleMark> marks = SampleMarks(record->spec());
  for (ProcessReport& process : *record->mutable_reports()) {
    for (ServerReport& server : *process.mutable_servers()) {
      const int count = std::min(static_cast<int>(marks.size()), server.mark_ns_size());
      for (int mark = 0; mark < count; ++mark) {
        const auto found = merged->find(marks[mark].samples);
        if (found == merged->end()) continue;
        const double seconds = TrainingSeconds(server.mark_ns(mark), pauses);
        found->second.set_seconds(std::max(found->second.seconds(), seconds));
      }
      server.clear_mark_ns();
    }
  }
}

// Weighted means over the workers' shares.
void MergeEvaluations(RunRecord* record) {
  const Pauses pauses = MergeClocks(record);
  std::map<int64_t, Evaluation> merged;  // by samples seen
  double loss_sum = 0;
  int64_t loss_count = 0;
  WorkerReport* first = nullptr;
  for (ProcessReport& process : *record->mutable_reports()) {
    for (WorkerReport& worker : *process.mutable_workers()) {
      if (first == nullptr) first = &worker;
      for (const Evaluation& share : worker.evaluations()) {
        Evaluation& whole = merged[share.samples_seen()];
        whole.set_samples_seen(share.samples_seen());
        whole.set_seconds(std::max(whole.seconds(), share.seconds()));
        whole.set_test_loss(whole.test_loss() + share.test_loss() * share.count());
        whole.set_test_accuracy(whole.test_accuracy() + share.test_accuracy() * share.count());
        whole.set_count(whole.count() + share.count());
      }
      loss_sum += worker.final_loss() * worker.final_loss_count();
      loss_count += worker.final_loss_count();
      worker.clear_evaluations();
    }
  }
  if (first == nullptr) return;
  MergeMarkTimes(record, pauses, &merged);
  for (auto& [samples_seen, whole] : merged) {
    whole.set_test_loss(whole.test_loss() / whole.count());
    whole.set_test_accuracy(whole.test_accuracy() / whole.count());
    *first->add_evaluations() = whole;
  }
  if (loss_count == 0) return;
  first->set_final_loss(loss_sum / loss_count);
  first->set_final_loss_count(loss_count);
}

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
                      spec.training().workers(), GoesOn(spec)};
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
  return CheckDevices(spec, first_device);
}

RunRecord RunArm(const RunSpec& spec, const RunArmOptions& options) {
  RunRecord record = NewRecord(spec);
  if (const absl::Status fits = CheckMachine(spec, options.device); !fits.ok()) {
    FillRecord(fits, &record);
    return record;
  }
  const std::string token = NewToken();
  const auto credentials = CredentialsFor(spec.transport().security(), token);
  if (!credentials.ok()) {
    FillRecord(credentials.status(), &record);
    return record;
  }
  const MonotonicTime begin = MonotonicNow();
  const ConditionsMeter conditions;
  StartingProcesses starting(kStartingPatience);
  CoordinatorOptions leads = CoordinatorOptionsOf(
      spec, {WithoutBrackets(spec.transport().listen_address()), 0}, *credentials);
  leads.starting_limit = kStartingFactor * leads.join_limit;
  leads.is_starting = [&starting](int32_t process) { return starting.GetsOn(process); };
  if (!NeedsMpirun(spec)) leads.cause_time = kCauseTime;
  auto coordinator = Coordinator::Start(leads);
  if (!coordinator.ok()) {
    FillRecord(coordinator.status(), &record);
    return record;
  }
  Children children;
  const MemoryFile text(NeedsMpirun(spec) ? SerializeRunSpec(spec) : "");
  const absl::Status started =
      NeedsMpirun(spec)
          ? StartMpirun(spec, options, (*coordinator)->endpoint(), token, text, &children)
          : StartProcesses(spec, options, (*coordinator)->endpoint(), token, coordinator->get(),
                           &children, &starting);
  if (!started.ok()) (*coordinator)->Abort(started);
  size_t told = 0;
  while (!(*coordinator)->WaitFor(kPoll)) {
    if (options.interrupted != nullptr && *options.interrupted) {
      (*coordinator)->Abort(absl::CancelledError("interrupted"));
    }
    NoteEnds(spec, &children, coordinator->get());
    if (options.faults != nullptr) options.faults->LetGoOn();
    if (MayReform(spec) || GoesOn(spec)) DealWithLosses(spec, coordinator->get(), &children, &told);
    if (!options.progress) continue;
    ArmProgress progress = ProgressOf((*coordinator)->Processes(), spec);
    progress.seconds = absl::ToDoubleSeconds(MonotonicNow() - begin);
    options.progress(progress);
  }
  if (options.faults != nullptr) options.faults->RunIsOver();
  absl::StatusOr<std::vector<ProcessReport>> result = (*coordinator)->Result();
  const bool interrupted = options.interrupted != nullptr && *options.interrupted;
  FillLastWords(
      (*coordinator)->AwaitLastWords(interrupted ? kInterruptWordsLimit : kLastWordsLimit),
      &record);
  const absl::Status status = EndProcesses(spec, options, result.status(), &children);
  if (!status.ok()) result = status;
  *record.mutable_conditions() = conditions.End();
  FillRecord(result, &record);
  FillLosses((*coordinator)->Losses(), &record);
  return record;
}

}  // namespace ringmaster
