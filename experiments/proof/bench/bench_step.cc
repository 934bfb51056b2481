#include "experiments/proof/bench/bench_step.h"

#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/formats/json.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/program/run/turns.h"
#include "experiments/proof/bench/peer_process.h"
#include "experiments/study/results/summary.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr char kPyTorchScript[] =
#include "experiments/proof/bench/step_pytorch_source.inc"
    ;

constexpr absl::Duration kPoll = absl::Milliseconds(50);
constexpr absl::Duration kPeerLimit = absl::Minutes(5);

// One that takes its turns. Made ready by Start; Block runs one block and returns seconds a step.
class Contender {
 public:
  virtual ~Contender() = default;
  virtual absl::Status Start() = 0;
  virtual absl::StatusOr<double> Block() = 0;
  // Ends it and fills in what it reports.
  virtual absl::Status Finish(StepTimes* times) = 0;
};

// A run of ours: its processes wait for their turns (experiments/program/run/turns.h), a thread
// here leads them.
class Run final : public Contender {
 public:
  Run(const StepBench& bench, const RunSpec& spec, const std::atomic<bool>& interrupted)
      : bench_(bench), spec_(spec), interrupted_(interrupted) {}

  ~Run() override {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Start() override {
    RM_ASSIGN_OR_RETURN(turns_,
                        TurnGiver::Create(TraitsOf(spec_).workers, spec_.training().steps()));
    thread_ = std::thread([this] {
      RunArmOptions options;
      options.interrupted = &stopped_;
      options.turns = turns_->path();
      record_ = RunArm(spec_, options);
      ended_ = true;
    });
    return Await(0);
  }

  absl::StatusOr<double> Block() override {
    const int64_t begin = granted_ + bench_.skipped_steps;
    granted_ = begin + bench_.block_steps;
    turns_->Grant({begin, granted_});
    RM_RETURN_IF_ERROR(Await(granted_));
    return turns_->Seconds() / static_cast<double>(bench_.block_steps);
  }

  absl::Status Finish(StepTimes* times) override {
    turns_->Grant({granted_, spec_.training().steps()});
    thread_.join();
    if (record_.status() != "ok") return Failure();
    *record_.mutable_summary() = Summarize(record_);
    times->record = std::move(record_);
    return absl::OkStatus();
  }

 private:
  absl::Status Failure() const {
    return absl::UnavailableError(absl::StrCat("arm ", spec_.name(), ": ", record_.status()));
  }

  absl::Status Await(int64_t step) {
    while (!turns_->AwaitAll(step, kPoll)) {
      if (interrupted_) return absl::CancelledError("interrupted");
      if (ended_) return Failure();
    }
    return absl::OkStatus();
  }

  const StepBench& bench_;
  const RunSpec& spec_;
  const std::atomic<bool>& interrupted_;
  std::unique_ptr<TurnGiver> turns_;
  int64_t granted_ = 0;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> ended_{false};
  RunRecord record_;  // the thread's until it has ended
  std::thread thread_;
};

// A peer, spoken to as step_pytorch.py says.
class Peer final : public Contender {
 public:
  Peer(const StepBench& bench, const StepPeer& peer, int64_t parameters,
       const std::atomic<bool>& interrupted)
      : bench_(bench), peer_(peer), parameters_(parameters), interrupted_(interrupted) {}

  absl::Status Start() override {
    RM_ASSIGN_OR_RETURN(process_, PeerProcess::Start(peer_.arguments, peer_.environment));
    RM_ASSIGN_OR_RETURN(const std::string line, Read());
    absl::string_view rest = line;
    if (!absl::ConsumePrefix(&rest, "ready ")) {
      return absl::FailedPreconditionError(
          absl::StrCat(peer_.name, ": ", peer_.arguments[0], " says \"", line,
                       "\"; install PyTorch and a fast BLAS (on Debian: apt-get install "
                       "python3-torch libopenblas0) or name a Python that has them with --python"));
    }
    const Json said = Json::Parse(rest).value_or(nullptr);
    if (said.contains("handicap")) handicap_ = said["handicap"].text();
    const int64_t parameters =
        said.contains("parameters") ? static_cast<int64_t>(said["parameters"].number()) : 0;
    if (parameters == parameters_) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(peer_.name, ": its model has ", parameters,
                                            " parameters, ours ", parameters_,
                                            ": not the same model"));
  }

  absl::StatusOr<double> Block() override {
    RM_RETURN_IF_ERROR(
        process_->WriteLine(absl::StrCat(bench_.skipped_steps, " ", bench_.block_steps)));
    RM_ASSIGN_OR_RETURN(const std::string line, Read());
    double seconds = 0;
    if (!absl::SimpleAtod(line, &seconds) || !(seconds > 0)) {
      return absl::UnavailableError(
          absl::StrCat(peer_.name, " answers \"", line, "\", expected seconds"));
    }
    return seconds / static_cast<double>(bench_.block_steps);
  }

  absl::Status Finish(StepTimes* times) override {
    times->handicap = handicap_;
    process_.reset();
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::string> Read() {
    absl::StatusOr<std::string> line = process_->ReadLine(kPeerLimit, &interrupted_);
    if (!line.ok()) return Annotate(line.status(), peer_.name);
    return line;
  }

  const StepBench& bench_;
  const StepPeer& peer_;
  const int64_t parameters_;
  const std::atomic<bool>& interrupted_;
  std::unique_ptr<PeerProcess> process_;
  std::string handicap_;
};

}  // namespace

int64_t StepsOf(const StepBench& bench) {
  // The last block's end is seen by who comes to the step behind it.
  return (bench.blocks + 1) * (bench.skipped_steps + bench.block_steps) + 1;
}

absl::StatusOr<std::vector<StepPeer>> PyTorchPeers(const RunSpec& run, const std::string& python) {
  const ModelSpec& model = run.model();
  if (model.name() != "mlp" && model.name() != "cnn" && model.name() != "transformer") {
    return absl::InvalidArgumentError(
        absl::StrCat("model \"", model.name(),
                     "\": PyTorch's side has mlp, cnn and transformer; leave --against away"));
  }
  const SchemeTraits traits = TraitsOf(run);
  const bool central = traits.servers > 0 && !traits.servers_beside_workers;
  StepPeer peer;
  peer.name = central ? "pytorch rpc" : "pytorch ddp";
  peer.arguments = {python,
                    "-c",
                    kPyTorchScript,
                    "--model",
                    model.name(),
                    "--exchange",
                    central ? "rpc" : "ddp",
                    "--workers",
                    absl::StrCat(run.training().workers()),
                    "--batch",
                    absl::StrCat(run.training().batch_per_worker())};
  const auto add = [&peer](const char* flag, const std::string& value) {
    peer.arguments.insert(peer.arguments.end(), {flag, value});
  };
  if (model.name() == "mlp") add("--hidden", absl::StrJoin(model.mlp_hidden(), ","));
  if (model.name() == "transformer") {
    add("--layers", absl::StrCat(model.transformer().layers()));
    add("--width", absl::StrCat(model.transformer().width()));
    add("--heads", absl::StrCat(model.transformer().heads()));
    add("--context", absl::StrCat(run.data().synthetic().context()));
  }
  std::vector<StepPeer> peers = {peer};
  if (__builtin_cpu_supports("avx512f")) {
    peer.name += ", SKYLAKEX";
    peer.environment = {"OPENBLAS_CORETYPE=SKYLAKEX"};
    peers.push_back(peer);
  }
  return peers;
}

absl::StatusOr<std::vector<StepTimes>> RunStepBench(const StepBench& bench,
                                                    const std::atomic<bool>& interrupted) {
  RM_ASSIGN_OR_RETURN(const int64_t parameters, ParameterCount(bench.runs.front()));
  std::vector<StepTimes> times;
  std::vector<std::unique_ptr<Contender>> contenders;
  for (const RunSpec& run : bench.runs) {
    contenders.push_back(std::make_unique<Run>(bench, run, interrupted));
    times.push_back({run.name(), true});
  }
  for (const StepPeer& peer : bench.peers) {
    contenders.push_back(std::make_unique<Peer>(bench, peer, parameters, interrupted));
    times.push_back({peer.name, false});
  }
  for (const auto& contender : contenders) RM_RETURN_IF_ERROR(contender->Start());
  for (int64_t block = 0; block <= bench.blocks; ++block) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      RM_ASSIGN_OR_RETURN(const double seconds, contenders[i]->Block());
      if (block > 0) times[i].step_ms.push_back(1e3 * seconds);
    }
  }
  for (size_t i = 0; i < contenders.size(); ++i)
    RM_RETURN_IF_ERROR(contenders[i]->Finish(&times[i]));
  return times;
}

}  // namespace ringmaster
