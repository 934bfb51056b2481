#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_OUTCOME_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_OUTCOME_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/program/store/store.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"

namespace ringmaster {

// The finished arms of one command: kept in the store as they come, shown at the end.
class Outcome {
 public:
  // Opens (or creates) the store in `out`.
  static absl::StatusOr<Outcome> Open(const std::string& out);

  // Derives the record's summary, with what earlier arms allow to be compared, and appends it to
  // the store. Returns the summary as far as it can be known now. FailedPrecondition: it read other
  // files than an earlier arm, and is kept but stands in no table.
  absl::StatusOr<RunSummary> Add(RunRecord record);

  // A line under the table: how the arms ran, or what is wrong with them all.
  void AddNote(std::string note) { notes_.push_back(std::move(note)); }
  // How the arms ran: in turns, or why not, which also stands under the table.
  void SetTurns(bool took_turns, std::string why_no_turns) {
    took_turns_ = took_turns;
    why_no_turns_ = std::move(why_no_turns);
  }
  // One of the doubts.
  void AddDoubt(std::string doubt) { more_doubts_.push_back(std::move(doubt)); }

  // The table (or what failed, when everything did), or with `json` one JSON object, on standard
  // output. `columns`: the figures that the table shows (experiments/study/results/table.h), none
  // for the usual ones.
  void Print(bool json, const std::vector<std::string>& columns) const;

  // Why figures are doubtful, the most general first.
  std::vector<std::string> AllDoubts() const;

  // Where the runs are kept: Store::FilesText.
  std::string FilesText() const { return store_->FilesText(); }
  bool all_ok() const;
  bool any_ok() const;
  bool empty() const { return summaries_.empty(); }

 private:
  // FailedPrecondition: it read other files than an arm before it, by name.
  absl::Status CheckInputs(const RunRecord& record) const;

  explicit Outcome(std::unique_ptr<Store> store, std::string out)
      : store_(std::move(store)), out_(std::move(out)) {}

  std::unique_ptr<Store> store_;
  std::string out_;
  std::vector<RunRecord> records_;     // without reports
  std::vector<RunSummary> summaries_;  // by record
  std::vector<std::string> notes_;
  std::vector<std::string> more_doubts_;
  bool took_turns_ = false;
  std::string why_no_turns_ = "a single run";
};

// A sentence for each process that was lost in the run, which went on. Pure.
std::vector<std::string> LossNotes(const RunRecord& record);

// What is doubtful about some finished runs of one command, a sentence each: first whether the
// machine was quiet, then what reports say of each (experiments/study/report/caveats.h). Pure.
std::vector<std::string> DoubtsOf(const std::vector<RunRecord>& records);

// The same as text for under a table: "doubtful: ..." and a line for each more; empty: no doubts.
std::string DoubtsText(const std::vector<std::string>& doubts);

// Opens, adds and prints a single record; logs what went wrong. Returns the program's exit code.
int ReportOutcome(const RunRecord& record, const std::string& out, bool json);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_OUTCOME_H_
