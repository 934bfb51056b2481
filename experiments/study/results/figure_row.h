#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_FIGURE_ROW_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_FIGURE_ROW_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/study/results/figures.h"
#include "proto/record.pb.h"

namespace ringmaster {

class RunRecord;

// The value under `key`; absent: there is none. Pure.
inline std::optional<double> ValueIn(const google::protobuf::Map<std::string, double>& map,
                                     const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::optional<double>() : std::optional<double>(found->second);
}

// Builds a row of the catalogue: the constructor takes what every figure has, each method adds one
// thing, and the conversion gives the figure.
class Row {
 public:
  Row(const char* tag, const char* unit, const char* over, const char* definition) {
    figure_.tag = tag;
    figure_.unit = unit;
    figure_.over = over;
    figure_.definition = definition;
  }
  Row& Needs(std::vector<Need> needs) { return figure_.needs = std::move(needs), *this; }
  Row& Value(FigureOfRun value) { return figure_.value = std::move(value), *this; }
  Row& Measured(std::function<std::optional<double>(const RunRecord&)> measure) {
    figure_.measure = std::move(measure);
    figure_.value = [tag = figure_.tag](const RunSummary& s) { return ValueIn(s.figures(), tag); };
    return *this;
  }
  Row& OfNode(std::function<std::optional<double>(const NodeOfRun&)> of_node) {
    return figure_.of_node = std::move(of_node), *this;
  }
  Row& Doubtful(bool (*is_doubtful)(double), const char* doubt) {
    return figure_.is_doubtful = is_doubtful, figure_.doubt = doubt, *this;
  }
  Row& Json() { return figure_.in_json = true, *this; }
  Row& Whole() { return figure_.is_whole = true, *this; }
  Row& Table(FigureGroup group, int place, FigureFormat format) {
    return figure_.table = TableFigure{group, place, format, true}, *this;
  }
  // A column that only --columns shows.
  Row& OnDemand(FigureGroup group, int place, FigureFormat format) {
    return figure_.table = TableFigure{group, place, format, false}, *this;
  }
  Row& Report(const char* id, FigureFormat format) {
    return figure_.report = ReportFigure{id, format}, *this;
  }
  Row& Sweep(OverTrials over, FigureFormat format) {
    return figure_.sweep = SweepFigure{over, format}, *this;
  }
  operator Figure() const { return figure_; }  // NOLINT: a row is a figure

 private:
  Figure figure_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_FIGURE_ROW_H_
