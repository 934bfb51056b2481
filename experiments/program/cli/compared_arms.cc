#include "experiments/program/cli/compared_arms.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/message.h"
#include "common/log/log.h"
#include "common/scheme/registry.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/pace_table.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/program/run/faults/fault.h"
#include "experiments/program/run/faults/injected_faults.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/run_in_turns.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

std::string OutcomeText(const RunSummary& summary, double seconds) {
  if (summary.status() != "ok") return absl::StrCat("failed: ", summary.status());
  std::string text =
      absl::StrFormat("%5.1f s  %7s samples/s  step %.2f ms", seconds,
                      FormatCount(summary.samples_per_second()), summary.step_ms_p50());
  if (summary.has_final_loss()) absl::StrAppendFormat(&text, "  loss %.4f", summary.final_loss());
  if (summary.has_test_accuracy())
    absl::StrAppendFormat(&text, "  test %.2f %%", 100 * summary.test_accuracy());
  return text;
}

// Of an arm: its outcome, or why there is none.
std::string WhatBecameOf(const absl::StatusOr<std::string>& text) {
  if (text.ok()) return *text;
  return absl::IsFailedPrecondition(text.status()) ? "not compared" : "not kept";
}

StepMs StepMsOf(const RunRecord& record) {
  StepMs step_ms;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers())
      step_ms.push_back({worker.step_ms().data(), static_cast<size_t>(worker.step_ms_size())});
  }
  return step_ms;
}

// Puts what was done to the run's processes into its record, and how soon it was noticed where a
// process was lost by it.
void NoteFaults(const FaultGiver& giver, RunRecord* record) {
  for (size_t i = 0; i < giver.faults().size(); ++i) {
    const FaultGiver::Outcome outcome = giver.OutcomeOf(i);
    InjectedFault* fault = record->add_faults();
    fault->set_fault(giver.faults()[i].text);
    fault->set_failure(outcome.failure);
    if (!outcome.seconds.has_value()) continue;
    fault->set_seconds(*outcome.seconds);
    const std::string node = ToString(giver.faults()[i].target);
    for (Loss& loss : *record->mutable_losses()) {
      const bool is_its = std::count(loss.nodes().begin(), loss.nodes().end(), node) > 0;
      if (!is_its || loss.has_detection_seconds() || loss.seconds() < *outcome.seconds) continue;
      loss.set_detection_seconds(loss.seconds() - *outcome.seconds);
      // The coordinator knows the step of the last heartbeat.
      const int64_t more = giver.faults()[i].step.value_or(0) - loss.step();
      if (more <= 0) continue;
      loss.set_step(loss.step() + more);
      if (loss.restarted()) loss.set_undone_steps(loss.undone_steps() + more);
    }
  }
}

// Puts into the record what was asked for and is `done` to other arms alone: all runs of one
// command say the same, and stand side by side.
void NoteFaultsOfOthers(const std::vector<Fault>& asked, const std::vector<Fault>& done,
                        RunRecord* record) {
  for (const Fault& fault : asked) {
    const bool is_own = std::any_of(done.begin(), done.end(), [&fault](const Fault& other) {
      return other.text == fault.text;
    });
    if (is_own) continue;
    InjectedFault* other = record->add_faults();
    other->set_fault(fault.text);
    other->set_failure("the arm has no such process");
  }
}

// A line on each fault: "worker:1@step=50 kill, done 1.23 s after all had joined; the run was over
// 0.06 s later".
std::vector<std::string> FaultTexts(const FaultGiver& giver) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < giver.faults().size(); ++i) {
    const FaultGiver::Outcome outcome = giver.OutcomeOf(i);
    const std::string& text = giver.faults()[i].text;
    if (!outcome.seconds.has_value()) {
      lines.push_back(absl::StrCat(text, ": its moment never came"));
      continue;
    }
    const std::string done =
        outcome.failure.empty() ? "done" : absl::StrCat("not done (", outcome.failure, ")");
    lines.push_back(
        absl::StrFormat("%s, %s %.3f s after all had joined; the run was over %.3f s later", text,
                        done, *outcome.seconds, outcome.until_the_end));
  }
  return lines;
}

int Fail(const absl::Status& status, int code) {
  Log(LogLevel::kError, status.message());
  return code;
}

}  // namespace

std::string WhyOneByOne(const std::vector<RunSpec>& specs, const std::string& flag) {
  if (specs.size() == 1) return "a single run";
  return flag.empty() ? WhyNoTurnsHere(specs) : flag;
}

int ComparedArms::Train() {
  const std::string why_no_turns = WhyOneByOne(specs_, options_.one_by_one);
  outcome_.SetTurns(why_no_turns.empty(), why_no_turns);
  if (why_no_turns.empty()) {
    TrainInTurns();
    outcome_.AddNote(
        "arms took turns; turns are no trials: intervals over seeds need trials (sweep)");
  } else {
    TrainOneByOne();
    if (specs_.size() > 1)
      outcome_.AddNote(absl::StrCat("arms ran one after the other: ", why_no_turns));
  }
  return code_;
}

void ComparedArms::TrainOneByOne() {
  for (size_t i = 0; i < specs_.size() && !InterruptFlag(); ++i) {
    ProgressLine line(LabelOf(i));
    const MonotonicTime begin = MonotonicNow();
    RunRecord record = TrainOne(i, [&line](const ArmProgress& progress) { line.Show(progress); });
    const double seconds = absl::ToDoubleSeconds(MonotonicNow() - begin);
    const absl::StatusOr<std::string> text = Keep(i, std::move(record), seconds);
    line.Finish(WhatBecameOf(text));
    if (!text.ok()) return;
  }
}

RunRecord ComparedArms::TrainOne(size_t arm, const ProgressSink& progress) {
  const RunSpec& spec = specs_[arm];
  RunArmOptions options = ArmOptions();
  options.progress = progress;
  const std::vector<Fault> faults = FaultsIn(TraitsOf(spec), options_.faults);
  if (faults.empty()) {
    RunRecord record = RunArm(spec, options);
    NoteFaultsOfOthers(options_.faults, faults, &record);
    return record;
  }
  const absl::StatusOr<std::unique_ptr<FaultGiver>> giver = FaultGiver::Create(faults);
  if (!giver.ok()) {
    RunRecord record = NewRecord(spec);
    FillRecord(giver.status(), &record);
    return record;
  }
  options.faults = giver->get();
  RunRecord record = RunArm(spec, options);
  NoteFaults(**giver, &record);
  NoteFaultsOfOthers(options_.faults, faults, &record);
  for (const std::string& text : FaultTexts(**giver))
    outcome_.AddNote(absl::StrCat(spec.name(), ": ", text));
  return record;
}

void ComparedArms::TrainInTurns() {
  std::deque<ProgressLine> lines;
  for (size_t i = 0; i < specs_.size(); ++i) lines.emplace_back(LabelOf(i));
  RunInTurnsOptions options;
  options.device = options_.device;
  options.interrupted = &InterruptFlag();
  options.outputs = options_.outputs;
  std::vector<ArmSoFar> so_far(specs_.size());
  options.progress = [&](size_t arm, const ArmProgress& progress) {
    lines[arm].Show(progress);
    so_far[arm].loss = progress.loss;
  };
  const MonotonicTime begin = MonotonicNow();
  options.round = [&](int64_t rounds, const std::vector<Pace>& paces) {
    if (!IsTableRound(rounds) || InterruptFlag()) return;
    for (size_t i = 0; i < paces.size(); ++i) so_far[i].pace = paces[i];
    const double seconds = absl::ToDoubleSeconds(MonotonicNow() - begin);
    StatusLine().Finish(PaceTable(specs_, so_far, {rounds, seconds}));
  };
  options.ended = [&](size_t arm, RunRecord record) {
    double seconds = 0;
    for (const ArmTurn& turn : record.turns()) seconds += turn.seconds();
    lines[arm].Finish(WhatBecameOf(Keep(arm, std::move(record), seconds)));
  };
  RunInTurns(specs_, options);
}

int ComparedArms::Gate() {
  if (options_.gate <= 0 || InterruptFlag() || code_ != kExitOk) return code_;
  StatusLine line;
  if (!turn_blocks_.has_value()) {
    line.Show(absl::StrCat("gate: ", specs_.front().name(), " once more"), 0, true);
    const absl::StatusOr<GateBlocks> blocks = RunAgain();
    if (InterruptFlag()) return code_;
    if (!blocks.ok()) {
      line.Finish("gate: failed");
      return Fail(blocks.status(), kExitFailedRun);
    }
    turn_blocks_ = *blocks;
  }
  const GateResult result = JudgeGate(specs_.front().name(), *turn_blocks_, options_.gate);
  line.Finish(result.text);
  if (result.passes) {
    outcome_.AddNote(result.text);
    return code_;
  }
  outcome_.AddDoubt(result.text);
  return kExitNotQuotable;
}

absl::StatusOr<GateBlocks> ComparedArms::RunAgain() {
  RunSpec spec = specs_.front();
  spec.mutable_training()->set_steps(std::max<int64_t>(first_block_.end, 1));
  spec.mutable_training()->set_evaluate_every_samples(0);
  spec.clear_output();
  const RunRecord record = RunArm(spec, ArmOptions());
  if (record.status() != "ok") {
    return absl::UnavailableError(
        absl::StrCat("not quotable: ", spec.name(), " once more, for --gate: ", record.status()));
  }
  GateBlock again = first_block_;
  again.step_ms = MedianStepMs(StepMsOf(record), again.begin, again.end);
  return GateBlocks{first_block_, again};
}

RunArmOptions ComparedArms::ArmOptions() const {
  RunArmOptions options;
  options.device = options_.device;
  options.interrupted = &InterruptFlag();
  options.outputs = options_.outputs;
  return options;
}

std::string ComparedArms::LabelOf(size_t arm) const {
  const std::string& name = specs_[arm].name();
  return specs_.size() == 1 ? name : absl::StrCat(arm + 1, "/", specs_.size(), " ", name);
}

absl::StatusOr<std::string> ComparedArms::Keep(size_t arm, RunRecord record, double seconds) {
  if (arm == 0) {
    const TrainingSpec& training = specs_[0].training();
    first_block_ = FirstBlock(StepMsOf(record), training.warmup_steps());
    turn_blocks_ = BlocksOfTurns(record.reports(), record.turns(), training.workers());
  }
  if (!tuned_.empty())
    record.mutable_tuning()->Add(tuned_[arm].trials.begin(), tuned_[arm].trials.end());
  if (record.has_resumption()) {
    const std::vector<std::string>& refused = options_.refused[arm];
    record.mutable_resumption()->mutable_refused()->Add(refused.begin(), refused.end());
    outcome_.AddNote(absl::StrCat(specs_[arm].name(), " was stopped and went on from step ",
                                  record.resumption().step()));
  }
  const absl::StatusOr<RunSummary> summary = outcome_.Add(std::move(record));
  if (!summary.ok()) {
    code_ = Fail(summary.status(), kExitFailedRun);
    return summary.status();
  }
  if (summary->status() != "ok") {
    code_ = kExitFailedRun;
  } else {
    RemoveCheckpoints(specs_[arm]);  // the run is done and kept
  }
  return OutcomeText(*summary, seconds);
}

}  // namespace ringmaster
