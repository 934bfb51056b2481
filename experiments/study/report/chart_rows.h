#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHART_ROWS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHART_ROWS_H_

#include <string>
#include <vector>

#include "common/formats/json.h"

namespace ringmaster {

struct Comparisons;  // experiments/study/report/comparisons.h

// What one drawing shows: rows of one comparison, or of comparisons that differ in one setting,
// which is on the axis. A row is an object with "arm" (its label) and "comparison" (its number), by
// which pages filter, and the chart's own fields; a row without "arm" is a guide that belongs to
// all.
struct Panel {
  std::string title;
  Json rows = Json::Array();
};

struct ChartRows {
  std::vector<Panel> panels;  // those that have rows
  std::string missing;        // why there are none, where there are none
};

// Each computes the rows of one chart, with the fields that its comment names; units are in the
// field's name or the chart's spec. Medians are over trials, "low" and "high" their interval. Pure
// but for PayloadRows and BytesRows, which look at the data set's files to learn the model's size.

// name, samples_per_second; of what exchanges percent (efficiency), ceiling; of what does not
// yardstick
ChartRows RankingRows(const Comparisons& comparisons);
// N, samples_per_second
ChartRows ScalingRows(const Comparisons& comparisons);
// setting (its path), value, samples_per_second
ChartRows SweptRows(const Comparisons& comparisons);
// N, value (of the setting whose path is setting), text ("ring 1.30×"), second, ratio,
// samples_per_second
ChartRows WinnersRows(const Comparisons& comparisons);
// N, percent
ChartRows EfficiencyRows(const Comparisons& comparisons);
// per ("worker", "process"), samples_per_second
ChartRows CostRows(const Comparisons& comparisons);
// base, ratio, verdict
ChartRows RatioRows(const Comparisons& comparisons);
// phase, order, milliseconds
ChartRows BreakdownRows(const Comparisons& comparisons);
// kind, milliseconds
ChartRows CommunicationRows(const Comparisons& comparisons);
// N, kilobytes, formula_kilobytes
ChartRows PayloadRows(const Comparisons& comparisons);
// source ("formula", "metered"), seconds, megabytes
ChartRows BytesRows(const Comparisons& comparisons);
// staleness, percent, contributions
ChartRows StalenessRows(const Comparisons& comparisons);
// name, predicted_ms, measured_ms, off_percent, off_text ("+12 %")
ChartRows PredictionRows(const Comparisons& comparisons);
// run, percent, state ("as the others", "outlier", "disturbed")
ChartRows DriftRows(const Comparisons& comparisons);
// samples, seconds, loss
ChartRows LossRows(const Comparisons& comparisons);
// samples, seconds, percent
ChartRows AccuracyRows(const Comparisons& comparisons);
// accuracy ("97 %"), seconds, reached ("2 of 3 trials"); unreached, where no trial does
ChartRows TimeToAccuracyRows(const Comparisons& comparisons);
// Spans: kind "span", track, phase, begin_ms, end_ms, step, bucket. Messages: kind "message",
// track, to, begin_ms, end_ms, what, bytes.
ChartRows TimelineRows(const Comparisons& comparisons);
// seconds (since the fault), samples_per_second, fault ("worker:1@step=50 kill")
ChartRows FaultRows(const Comparisons& comparisons);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHART_ROWS_H_
