#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_FIGURES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_FIGURES_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ringmaster {

class ProcessReport;
class RunRecord;
class RunSpec;
class RunSummary;
class ServerReport;
class WorkerReport;

// The catalogue of figures. Tables, JSON, CSV and reports print what stands in it and know no
// figure by themselves. A figure more is a row more in catalogue.cc, apart from where its raw value
// is measured.

// What a figure needs; where that is missing, the figure is absent: never 0.
enum class Need {
  kExchange,     // an arm that exchanges something: not single, not solo
  kServers,      // contributions applied by servers
  kMeter,        // a transport of ours: another library's bytes are not metered
  kLearning,     // one model that is really trained: not solo, not emulated computing
  kReached,      // an evaluation that reached the accuracy
  kSingle,       // the single arm of the same comparison
  kSolo,         // the solo arm of the same comparison
  kPrediction,   // a run that was predicted
  kCosts,        // a record of a program that measured what processes take
  kClaims,       // workers that claim their work
  kHalves,       // gradients encoded as halves on the host: codec fp16
  kAroundModel,  // workers around a model that none of them computes with
  kLastRank,     // ranks that wait for each other in every step, told apart by the program
  kState,        // a record of a program that measured what workers keep
  kPlan,         // a record that says what the run was to take of memory
};
const char* NeedText(Need need);

// Groups of columns in the terminal's table.
enum class FigureGroup { kSpeed, kTime, kCommunication, kBytes, kLearning, kMachine };

// How a text shows a figure: under `title` and `unit`, the value times `factor` with `decimals`
// decimals.
struct FigureFormat {
  const char* title = "";
  const char* unit = "";
  int decimals = 0;
  double factor = 1;
};

// A column of the terminal's table; within a group they stand in ascending order of `place`.
struct TableFigure {
  FigureGroup group = FigureGroup::kSpeed;
  int place = 0;
  FigureFormat format;
  bool by_default = true;  // without --columns
};

// A column of a report's tables and its CSV, in the order of the catalogue. `id`: key in CSV and
// the report's JSON; numbers there have the format's factor.
struct ReportFigure {
  const char* id = "";
  FigureFormat format;
};

// What stands in a sweep's table, over the trials of a cell.
enum class OverTrials {
  kMedian,
  kInterval,      // the median with its 95 % interval
  kRatiosToSolo,  // the same, of the ratios of samples/s to the solo cell's, trial by trial
};
struct SweepFigure {
  OverTrials over = OverTrials::kMedian;
  FigureFormat format;
};

// A worker or server of a finished run, for figures of one node.
struct NodeOfRun {
  const RunSpec* spec = nullptr;
  const ProcessReport* process = nullptr;
  const WorkerReport* worker = nullptr;  // one of the two
  const ServerReport* server = nullptr;
};

using FigureOfRun = std::function<std::optional<double>(const RunSummary&)>;

struct Figure {
  const char* tag;   // key in JSON; never changes its meaning
  const char* unit;  // of the value; "" for a ratio or a count
  const char* over;  // how it is aggregated over workers and steps
  const char* definition;
  std::vector<Need> needs;
  FigureOfRun value;  // from a summary; absent where it is not defined
  // Of figures that have no field in RunSummary: from the reports. Summarize keeps it under the
  // tag.
  std::function<std::optional<double>(const RunRecord&)> measure;
  // The same of one node; null: the figure is of whole runs alone. Asked only where the whole run
  // has the figure.
  std::function<std::optional<double>(const NodeOfRun&)> of_node;
  bool (*is_doubtful)(double value) = nullptr;  // null: never
  const char* doubt = "";                       // what a table says then
  bool in_json = false;                         // a key of its own in a run's JSON
  bool is_whole = false;                        // an integer in JSON
  std::optional<TableFigure> table;
  std::optional<ReportFigure> report;
  std::optional<SweepFigure> sweep;
};

// Every figure, in one order for all who print them. Thread-safe, as all of this.
absl::Span<const Figure> Figures();

// The figure with that tag, which must exist.
const Figure& FigureByTag(absl::string_view tag);

// Fills summary->figures and summary->nodes from the reports of a run that is "ok", whose other
// fields are filled. Pure but for *summary.
void KeepFigures(const RunRecord& record, RunSummary* summary);

// Test accuracies whose time is reported, as they appear in RunSummary.seconds_to_accuracy.
struct AccuracyThreshold {
  const char* name;
  double accuracy;
};
absl::Span<const AccuracyThreshold> AccuracyThresholds();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_FIGURES_H_
