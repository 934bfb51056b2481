#include "experiments/program/cli/outcome.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/config/network_text.h"
#include "common/config/run_inputs.h"
#include "common/log/log.h"
#include "common/machine/conditions.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/program/run/hosts/record_hosts.h"
#include "experiments/program/store/json.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/results/summary.h"
#include "experiments/study/results/table.h"
#include "experiments/trace/last_words_text.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

bool IsOk(const RunSummary& summary) { return summary.status() == "ok"; }

// What of a run's surroundings is unusual or made up, as lines that end with a newline; arms that
// are compared have it in common.
std::string SurroundingsText(const RunRecord& record) {
  const RunSpec& spec = record.spec();
  std::string text;
  const std::string network = NetworkText(spec.transport());
  const std::string compute = ComputeText(spec.training());
  const std::string hosts = HostsText(record);
  if (!network.empty()) {
    absl::StrAppend(&text, "network: ", record.has_simulation() ? "simulated" : "shaped", ", ",
                    network, "\n");
  }
  if (!hosts.empty()) absl::StrAppend(&text, "hosts: ", hosts, "\n");
  if (!compute.empty()) absl::StrAppend(&text, "compute: ", compute, "\n");
  if (spec.transport().security() == "tls")
    absl::StrAppend(&text, "connections: encrypted (TLS), which costs time\n");
  if (spec.training().has_emulated_compute()) {
    absl::StrAppend(&text, "nothing was learned: loss and accuracy have no figures\n");
  }
  return text.empty() ? text : "\n" + text;
}

// Of a run that lost a process, behind who that was.
std::string HowItWentOn(const Loss& loss) {
  if (loss.restarted()) {
    const std::string lost =
        loss.lost_updates() > 0 ? absl::StrCat(", ", loss.lost_updates(), " updates lost") : "";
    const std::string begun = loss.recovery_seconds() > 0
                                  ? absl::StrFormat(" and in step %d after %.2f s",
                                                    loss.resumed_step(), loss.recovery_seconds())
                                  : absl::StrCat(" from step ", loss.resumed_step());
    return absl::StrCat(": all processes were started again", begun, ", ", loss.undone_steps(),
                        " steps undone", lost, "; bytes are without those of undone steps");
  }
  constexpr char kUnlike[] = "; its bytes and times are of unlike numbers of workers";
  if (!loss.reformed()) return absl::StrCat(": the others went on", kUnlike);
  return absl::StrFormat(": the others went on from step %d as a new group after %.2f s%s",
                         loss.resumed_step(), loss.recovery_seconds(), kUnlike);
}

// What the nodes of a failed run did at its end, and how to see their last events.
std::string EndText(const RunRecord& record, const std::string& out) {
  const std::string text = LastWordsText(record.last_words());
  if (text.empty()) return text;
  return absl::StrCat("\nat the end of ", record.spec().name(), ":\n", text, "`ringmaster trace ",
                      record.run_id(), " --out ", out, "` shows the last events\n");
}

}  // namespace

absl::StatusOr<Outcome> Outcome::Open(const std::string& out) {
  RM_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open(out));
  return Outcome(std::move(store), out);
}

absl::Status Outcome::CheckInputs(const RunRecord& record) const {
  if (!record.has_inputs()) return absl::OkStatus();
  for (const RunRecord& other : records_) {
    if (!other.has_inputs()) continue;
    const std::string difference = InputsDifference(other.inputs(), record.inputs());
    if (difference.empty()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("\"", record.spec().name(), "\" read other files than \"", other.spec().name(),
                     "\", so the two stand in no table: the ", difference,
                     "; run the command again once nobody replaces them"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RunSummary> Outcome::Add(RunRecord record) {
  if (const absl::Status same = CheckInputs(record); !same.ok()) {
    *record.mutable_summary() = Summarize(record);
    RM_RETURN_IF_ERROR(store_->Append(record));
    return same;
  }
  summaries_.push_back(Summarize(record));
  AddComparative(&summaries_);
  *record.mutable_summary() = summaries_.back();
  for (std::string& note : LossNotes(record)) AddNote(std::move(note));
  if (std::string wires = WiresText(record); !wires.empty()) AddNote(std::move(wires));
  const absl::Status appended = store_->Append(record);
  record.clear_reports();
  records_.push_back(std::move(record));
  RM_RETURN_IF_ERROR(appended);
  return summaries_.back();
}

std::vector<std::string> Outcome::AllDoubts() const {
  std::vector<RunRecord> records = records_;
  for (size_t i = 0; i < records.size(); ++i) *records[i].mutable_summary() = summaries_[i];
  std::vector<std::string> doubts = DoubtsOf(records);
  doubts.insert(doubts.begin(), more_doubts_.begin(), more_doubts_.end());
  return doubts;
}

void Outcome::Print(bool json, const std::vector<std::string>& columns) const {
  if (!json) {
    if (any_ok()) {
      const std::string doubts = DoubtsText(AllDoubts());
      std::printf("\n%s%s%s", RenderTable(summaries_, TerminalWidth(), columns).c_str(),
                  doubts.empty() ? "" : absl::StrCat("\n", doubts).c_str(),
                  SurroundingsText(records_.front()).c_str());
    } else {
      for (const RunSummary& summary : summaries_) {
        std::printf("\n%s failed: %s\n", summary.arm().c_str(), summary.status().c_str());
      }
    }
    if (!notes_.empty()) std::printf("\n%s\n", absl::StrJoin(notes_, "\n").c_str());
    for (const RunRecord& record : records_) std::printf("%s", EndText(record, out_).c_str());
    std::printf("\nrecords: %s\n", FilesText().c_str());
    return;
  }
  std::vector<RunRecord> records = records_;
  for (size_t i = 0; i < records.size(); ++i) *records[i].mutable_summary() = summaries_[i];
  const SaidOfRuns said = {AllDoubts(), notes_, took_turns_, why_no_turns_};
  std::printf("%s\n", ComparisonJson(records, said).c_str());
}

std::vector<std::string> LossNotes(const RunRecord& record) {
  std::vector<std::string> notes;
  for (const Loss& loss : record.losses()) {
    notes.push_back(absl::StrCat(record.spec().name(), " lost ", absl::StrJoin(loss.nodes(), "+"),
                                 " at step ", loss.step(), " (", loss.how(), ")",
                                 HowItWentOn(loss)));
  }
  return notes;
}

std::vector<std::string> DoubtsOf(const std::vector<RunRecord>& records) {
  std::vector<const Conditions*> disturbed;
  std::vector<std::string> names;
  size_t finished = 0;
  for (const RunRecord& record : records) {
    if (record.status() != "ok") continue;
    ++finished;
    if (!IsDisturbed(record)) continue;
    disturbed.push_back(&record.conditions());
    names.push_back(record.spec().name());
  }
  std::vector<std::string> doubts;
  if (!disturbed.empty()) {
    doubts.push_back(absl::StrCat(
        "the machine was not quiet during ", disturbed.size(), " of ", finished,
        finished == 1 ? " run" : " runs",
        names.size() == finished ? "" : absl::StrCat(" (", absl::StrJoin(names, ", "), ")"), ": ",
        absl::StrJoin(DisturbanceCauses(disturbed), "; "), "."));
  }
  // The one run's own sentence would say the same.
  if (finished <= 1) return doubts;
  for (std::string& doubt : Doubts(GroupRecords(records))) doubts.push_back(std::move(doubt));
  return doubts;
}

std::string DoubtsText(const std::vector<std::string>& doubts) {
  if (doubts.empty()) return "";
  return absl::StrCat("doubtful: ", absl::StrJoin(doubts, "\n  "), "\n");
}

bool Outcome::all_ok() const { return std::all_of(summaries_.begin(), summaries_.end(), IsOk); }

bool Outcome::any_ok() const { return std::any_of(summaries_.begin(), summaries_.end(), IsOk); }

int ReportOutcome(const RunRecord& record, const std::string& out, bool json) {
  absl::StatusOr<Outcome> outcome = Outcome::Open(out);
  if (!outcome.ok()) {
    Log(LogLevel::kError, outcome.status().message());
    return kExitUserError;
  }
  const absl::StatusOr<RunSummary> added = outcome->Add(record);
  if (!added.ok()) Log(LogLevel::kError, added.status().message());
  outcome->Print(json, {});
  if (!added.ok() || !outcome->all_ok()) return kExitFailedRun;
  return kExitOk;
}

}  // namespace ringmaster
