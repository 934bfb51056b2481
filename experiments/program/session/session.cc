#include "experiments/program/session/session.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/node/lead_node.h"
#include "experiments/program/cli/outcome.h"
#include "experiments/program/cli/process_setup.h"
#include "experiments/program/run/descriptors.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/session/session_model.h"
#include "worker/model/program_model.h"

namespace ringmaster {
namespace {

// A launcher asks: the answer goes to the file it names, and the process has nothing else to do.
[[noreturn]] void DescribeAndEnd(ProgramDescription program, std::string fingerprint,
                                 const std::string& path) {
  program.fingerprint = std::move(fingerprint);
  const std::string bytes = SerializeDescription(program);
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  const bool wrote = file != nullptr &&
                     std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() &&
                     std::fclose(file) == 0;
  if (!wrote) std::fprintf(stderr, "ringmaster: cannot describe the program to %s\n", path.c_str());
  std::fflush(nullptr);
  _exit(wrote ? kExitOk : kExitFailedRun);
}

// `words` as the command line of `ringmaster node`, in a process of `program`.
absl::StatusOr<NodeSetup> SetUp(const std::vector<std::string>& words,
                                const ProgramDescription& program) {
  NodeFlags flags;
  Program parser("ringmaster", "", [] { return std::string(); });
  bool verbose = false;
  parser.command().AddFlag("-v,--verbose", &verbose, "");
  Command node = parser.command().AddCommand("node", "");
  DeclareNodeFlags(node, &flags);
  std::vector<const char*> argv = {"ringmaster", "node"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  const Parsed parsed = parser.Parse(static_cast<int>(argv.size()), argv.data());
  if (parsed.kind == Parsed::kRefused)
    return absl::InvalidArgumentError(absl::StrCat("arguments of the session: ", parsed.problem));
  if (parsed.kind == Parsed::kAnswered)
    return absl::InvalidArgumentError("arguments of the session: --help, which is answered above");
  StartLogging(verbose ? LogLevel::kDebug : LogLevel::kInfo);
  return SetUpNode(std::move(flags), &program);
}

// Threads inherit the mask: signals are the program's.
class WithoutSignals {
 public:
  WithoutSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Open(const ProgramDescription& program,
                                                       std::string fingerprint,
                                                       const std::vector<std::string>& arguments) {
  // Only its launcher's run is a launched process's.
  static std::atomic<bool> is_launched{false};
  if (is_launched.load()) {
    return absl::FailedPreconditionError(
        "this process has had its session: it was launched as one worker of one run; open one "
        "session a process");
  }
  std::vector<std::string> words = TakeSessionWords();
  is_launched.store(!words.empty());
  if (words.size() == 2 && words.front() == kDescribeWord)
    DescribeAndEnd(program, std::move(fingerprint), words.back());
  SetUpMemoryAndLocks();
  RaiseDescriptorLimit();
  if (words.empty()) {
    words = arguments;
  } else {
    words.erase(words.begin());  // "node"
  }
  const WithoutSignals without;
  RM_ASSIGN_OR_RETURN(NodeSetup setup, SetUp(words, program));
  std::unique_ptr<Session> session(new Session(std::move(setup)));
  session->own_.fingerprint = std::move(fingerprint);
  // Else a file has them.
  if (session->setup_.spec.training().init_weights().empty()) session->weights_ = program.weights;
  session->Start();
  return session;
}

Session::Session(NodeSetup setup) : setup_(std::move(setup)) {
  ModelOptions options;
  options.bucket_bytes = setup_.spec.training().bucket_bytes();
  options.bucket_layout = BucketLayoutOf(setup_.spec.training());
  layout_.emplace(ProgramLayout(setup_.spec.model().program(), options));
  handover_.emplace(*layout_);
  own_.take_weights = [this] { return std::exchange(weights_, {}); };
  own_.create_model = [this](const RunSpec& spec, const ParamLayout& layout,
                             const std::atomic<int64_t>* step) {
    return CreateSessionModel(spec, layout, step, &*handover_);
  };
  own_.trained = [this](absl::Span<const float> weights) { final_weights_ = weights.data(); };
  own_.over = [this] {
    handover_->FinishWell(final_weights_);
    AwaitClose();
  };
  setup_.options.own = &own_;
}

void Session::Start() {
  thread_ = std::thread([this] {
    const absl::Status status = setup_.leads ? Lead() : Run();
    {
      absl::MutexLock lock(&mutex_);
      status_ = status;
    }
    handover_->Finish(status);
  });
}

absl::Status Session::Run() {
  setup_.options.ends = &ends_;
  // Who leads the run has a record of what happened, but what keeps this rank from joining nobody
  // else hears; the program gets it too.
  setup_.options.is_led = setup_.is_launched;
  return RunNode(setup_.spec, setup_.options);
}

absl::Status Session::Lead() {
  LeadLimits limits;
  limits.end = [this] { return EndAskedFor(); };
  RM_ASSIGN_OR_RETURN(const LedNode led, LeadNode(setup_, limits));
  const int code = ReportOutcome(led.record, setup_.out, /*json=*/false);
  std::fflush(stdout);
  if (led.record.status() != "ok") return absl::AbortedError(led.record.status());
  if (code == kExitOk) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the run's record could not be kept in ", setup_.out, ", as said above"));
}

ringmaster_facts Session::facts() const {
  const TrainingSpec& training = setup_.spec.training();
  ringmaster_facts facts = {};
  facts.rank = setup_.nodes.front().index;
  facts.workers = training.workers();
  facts.batch = training.batch_per_worker();
  facts.micro_batches = MicroBatches(setup_.spec);
  facts.steps = training.steps();
  facts.seed = training.seed();
  facts.parameters = layout_->count();
  facts.device = setup_.options.device;
  return facts;
}

void Session::Fail(const std::string& reason) {
  const absl::Status why = absl::AbortedError(absl::StrCat("its program: ", reason));
  if (handover_->Fail(why) == Handover::Heard::kLater) AskForTheEnd(Annotate(why, setup_.name));
}

void Session::AskForTheEnd(const absl::Status& why) {
  {
    absl::MutexLock lock(&mutex_);
    if (!asked_end_.ok()) return;
    asked_end_ = why;
  }
  if (!setup_.leads) ends_.Make(why);
}

absl::Status Session::EndAskedFor() const {
  absl::MutexLock lock(&mutex_);
  return asked_end_;
}

void Session::AwaitClose() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&is_closing_));
}

absl::Status Session::Close() {
  // Counts only while the run is not over.
  Fail("it closed its session before the run was over");
  {
    absl::MutexLock lock(&mutex_);
    is_closing_ = true;
  }
  if (thread_.joinable()) thread_.join();
  absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace ringmaster
