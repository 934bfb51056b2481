#include "experiments/program/run/run_in_turns.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/machine/conditions.h"
#include "common/machine/free_memory.h"
#include "common/machine/machine.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/descriptors.h"
#include "experiments/program/run/memory/memory_need.h"
#include "experiments/program/run/memory/memory_plan.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/take_turns.h"
#include "experiments/program/run/turns.h"
#include "proto/run_record.pb.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

constexpr double kFreeShareMost = 0.6;
constexpr int32_t kRanksACoreMost = 16;
// How soon it is noticed that an arm has ended.
constexpr absl::Duration kLookPeriod = absl::Milliseconds(20);

bool RunsOnGpu(const std::string& kernels) {
  return kernels == "cublas" || kernels == "cublas_tf32" ||
         (kernels == "auto" && CudaDeviceCount().ok());
}

absl::StatusOr<TurnNeeds> NeedsOf(const std::vector<RunSpec>& specs) {
  TurnNeeds needs;
  for (const RunSpec& spec : specs) {
    RM_ASSIGN_OR_RETURN(const MemoryFacts facts, MemoryFactsOf(spec));
    needs.planned_bytes += TotalBytesOfAll(PlanMemory(spec, facts));
    needs.ranks += TraitsOf(spec).processes;
    needs.on_gpu |= RunsOnGpu(spec.training().kernels());
  }
  needs.descriptors = DescriptorsNeeded(needs.ranks);
  needs.descriptor_limit = DescriptorLimit();
  needs.free_bytes = FreeMemoryBytes();
  needs.cores = DescribeMachine().cores();
  return needs;
}

// Whose turn it is, for the one who shows it.
class Stage {
 public:
  explicit Stage(const RunInTurnsOptions& options) : options_(options) {}

  void Enter(size_t arm) {
    absl::MutexLock lock(&mutex_);
    on_turn_ = arm;
  }
  void Show(size_t arm, const ArmProgress& progress) {
    absl::MutexLock lock(&mutex_);
    if (arm == on_turn_ && options_.progress) options_.progress(arm, progress);
  }
  void TellEnd(size_t arm, RunRecord record) {
    absl::MutexLock lock(&mutex_);
    if (options_.ended) options_.ended(arm, std::move(record));
  }
  void TellRound(int64_t rounds, const std::vector<Pace>& paces) {
    absl::MutexLock lock(&mutex_);
    if (options_.round) options_.round(rounds, paces);
  }

 private:
  const RunInTurnsOptions& options_;
  absl::Mutex mutex_;
  size_t on_turn_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A run whose processes wait for their turns; a thread here leads them, for processes end with the
// thread that started them.
class LiveArm final : public TurnArm {
 public:
  LiveArm(const RunSpec& spec, const RunInTurnsOptions& options, size_t index, Stage* stage)
      : spec_(spec), options_(options), index_(index), stage_(*stage) {}

  ~LiveArm() override {
    if (thread_.joinable()) thread_.join();
  }

  int64_t steps() const override { return spec_.training().steps(); }
  int64_t first_step() const override { return spec_.output().resume_step(); }

  void Start() override {
    if (options_.interrupted != nullptr && *options_.interrupted) {
      ended_ = true;
      return;
    }
    absl::StatusOr<std::unique_ptr<TurnGiver>> turns =
        TurnGiver::Create(TraitsOf(spec_).workers, steps());
    if (!turns.ok()) {
      record_ = NewRecord(spec_);
      FillRecord(turns.status(), &*record_);
      ended_ = true;
      return;
    }
    turns_ = *std::move(turns);
    thread_ = std::thread([this] { Lead(); });
    while (!ended() && !turns_->AwaitAll(first_step(), kLookPeriod)) {
    }
  }

  void Grant(int64_t timed_from, int64_t end) override { turns_->Grant({timed_from, end}); }

  int64_t Cut(int64_t least) override { return turns_->Cut(least); }

  bool AwaitEnd(int64_t end, absl::Duration limit) override {
    const MonotonicTime deadline = MonotonicNow() + limit;
    for (;;) {
      if (ended()) return true;
      const absl::Duration left = std::min(deadline - MonotonicNow(), kLookPeriod);
      if (left <= absl::ZeroDuration()) return false;
      if (end < steps()) {
        if (turns_->AwaitAll(end, left)) return true;
      } else {
        absl::MutexLock lock(&mutex_);
        done_.AwaitUntil(&mutex_, MonotonicNow() + left, [this] { return ended(); });
      }
    }
  }

  bool ended() const override { return ended_; }
  double TimedSeconds() const override { return turns_->AllCameToEnd() ? turns_->Seconds() : 0; }
  bool has_failed() const { return ended() && record_.has_value() && record_->status() != "ok"; }

  // What it came to; none: it was never started. REQUIRES: it has ended.
  std::optional<RunRecord> TakeRecord() {
    if (thread_.joinable()) thread_.join();
    return std::move(record_);
  }

 private:
  void Lead() {
    RunArmOptions options;
    options.device = options_.device;
    options.interrupted = options_.interrupted;
    options.turns = turns_->path();
    options.outputs = options_.outputs;
    options.progress = [this](const ArmProgress& progress) { stage_.Show(index_, progress); };
    record_ = RunArm(spec_, options);
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    done_.SignalAll();
  }

  const RunSpec& spec_;
  const RunInTurnsOptions& options_;
  const size_t index_;
  Stage& stage_;
  std::unique_ptr<TurnGiver> turns_;
  absl::Mutex mutex_;
  MonotonicCondVar done_;  // signalled when it has ended
  std::atomic<bool> ended_{false};
  std::optional<RunRecord> record_;  // the thread's until it has ended
  std::thread thread_;
};

}  // namespace

std::string WhyNoTurns(const TurnNeeds& needs) {
  if (needs.on_gpu) return "their kernels run on a GPU, of whose memory there is no plan";
  if (needs.free_bytes.has_value()) {
    const auto planned = static_cast<double>(needs.planned_bytes);
    const auto free = static_cast<double>(*needs.free_bytes);
    if (planned > kFreeShareMost * free) {
      return absl::StrFormat(
          "together they would take %.1f GB, more than %.0f %% of the %.1f GB "
          "that are free",
          planned / 1e9, 100 * kFreeShareMost, free / 1e9);
    }
  }
  if (needs.cores > 0 && needs.ranks > int64_t{kRanksACoreMost} * needs.cores) {
    return absl::StrCat("together they have ", needs.ranks, " ranks, more than ", kRanksACoreMost,
                        " for each of ", needs.cores, " cores");
  }
  if (needs.descriptor_limit.has_value() && needs.descriptors > *needs.descriptor_limit) {
    return absl::StrCat("together they have ", needs.ranks,
                        " ranks, for which this process needs up to ", needs.descriptors,
                        " open files, and its limit is ", *needs.descriptor_limit,
                        " (ulimit -n): raise it, or say --no-turns");
  }
  return "";
}

std::string WhyNoTurnsHere(const std::vector<RunSpec>& specs) {
  for (const RunSpec& spec : specs) {
    if (spec.strategy().on_failure() > StrategySpec::ABORT)
      return absl::StrCat(spec.name(), " may lose a process, which would never come to its turn");
  }
  const absl::StatusOr<TurnNeeds> needs = NeedsOf(specs);
  if (needs.ok()) return WhyNoTurns(*needs);
  return absl::StrCat("what they need is not known: ", needs.status().message());
}

void RunInTurns(const std::vector<RunSpec>& specs, const RunInTurnsOptions& options) {
  Stage stage(options);
  std::vector<std::unique_ptr<LiveArm>> arms;
  std::vector<TurnArm*> seats;
  for (size_t i = 0; i < specs.size(); ++i) {
    arms.push_back(std::make_unique<LiveArm>(specs[i], options, i, &stage));
    seats.push_back(arms.back().get());
  }
  std::vector<TakenTurns> taken;
  std::vector<bool> told(arms.size());
  const auto tell_ends = [&] {
    bool in_order = true;
    for (size_t i = 0; i < arms.size(); ++i) {
      if (told[i]) continue;
      in_order &= arms[i]->ended();
      if (!in_order && !arms[i]->has_failed()) continue;
      told[i] = true;
      std::optional<RunRecord> record = arms[i]->TakeRecord();
      if (!record.has_value()) continue;
      record->mutable_turns()->Add(taken[i].turns.begin(), taken[i].turns.end());
      // RunArm's are of all turns, also of the other arms'.
      *record->mutable_conditions() = taken[i].conditions.Total();
      stage.TellEnd(i, *std::move(record));
    }
  };
  const auto on_turn = [&](size_t arm) {
    tell_ends();
    stage.Enter(arm);
  };
  int64_t rounds = 0;
  const auto on_round = [&] {
    tell_ends();
    ++rounds;
    if (std::all_of(told.begin(), told.end(), [](bool is_told) { return is_told; })) return;
    std::vector<Pace> paces;
    for (const TakenTurns& of_arm : taken) paces.push_back(of_arm.pace);
    stage.TellRound(rounds, paces);
  };
  TakeTurns({}, seats, {MonotonicNow, ReadMachine, on_turn, on_round}, &taken);
  tell_ends();
}

}  // namespace ringmaster
