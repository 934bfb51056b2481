#include "experiments/study/predict/prediction_table.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/formats/json.h"
#include "experiments/study/results/columns.h"
#include "experiments/study/results/schema_version.h"

namespace ringmaster {
namespace {

constexpr char kUndefined[] = "–";
constexpr char kGap[] = "  ";

using Row = std::vector<std::string>;

std::string Milliseconds(double value) { return absl::StrFormat("%.2f", value); }

Row RowOf(const PredictedArm& arm) {
  const Prediction& p = arm.prediction;
  const std::optional<double> residual = ResidualOf(arm);
  return {arm.arm,
          Milliseconds(p.compute_ms()),
          p.communication_ms() > 0 ? Milliseconds(p.communication_ms()) : kUndefined,
          Milliseconds(p.exposed_ms()),
          Milliseconds(p.step_ms()),
          arm.measured_step_ms ? Milliseconds(*arm.measured_step_ms) : kUndefined,
          residual ? absl::StrFormat("%+.1f", 100 * *residual) : kUndefined};
}

std::string TextOf(const std::vector<Row>& rows, size_t heads) {
  std::vector<int> widths(rows[0].size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
      absl::StrAppend(&line, i == 0 ? "" : kGap,
                      i == 0 ? PadRight(rows[r][i], widths[i]) : PadLeft(rows[r][i], widths[i]));
    }
    absl::StrAppend(&text, line, "\n");
    if (r + 1 != heads) continue;
    for (size_t i = 0; i < widths.size(); ++i) {
      absl::StrAppend(&text, i == 0 ? "" : kGap);
      for (int column = 0; column < widths[i]; ++column) absl::StrAppend(&text, "─");
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

std::string RateText(double bytes_per_second) {
  if (bytes_per_second <= 0) return "without limit";
  return bytes_per_second >= 1e9 ? absl::StrFormat("%.2f GB/s", bytes_per_second / 1e9)
                                 : absl::StrFormat("%.1f MB/s", bytes_per_second / 1e6);
}

// What messages are computed to take; nothing of arms that have none.
std::set<std::string> LinkTexts(const std::vector<PredictedArm>& arms) {
  std::set<std::string> texts;
  for (const PredictedArm& arm : arms) {
    const Prediction& p = arm.prediction;
    if (p.round_trip_samples() <= 0) continue;
    texts.insert(absl::StrFormat(
        "%s: %.0f us a message and %s a node, each way, from %.0f messages", arm.transport,
        p.latency_us(), RateText(p.bytes_per_second()), p.round_trip_samples()));
  }
  return texts;
}

// The order that was found, and what it saves.
std::string OrderText(const PredictedArm& arm) {
  const PredictedOrder& order = *arm.order;
  const std::string how = order.is_best ? "the best of all orders" : "no change of it is better";
  return absl::StrFormat("%s: %.2f ms, %.2f in the order of ranks, with %s (%s; %d looked at)",
                         arm.arm, arm.prediction.step_ms(), order.ranks_step_ms, order.flag, how,
                         order.looked_at);
}

}  // namespace

std::optional<double> ResidualOf(const PredictedArm& arm) {
  if (!arm.measured_step_ms || *arm.measured_step_ms <= 0) return std::nullopt;
  return (*arm.measured_step_ms - arm.prediction.step_ms()) / *arm.measured_step_ms;
}

std::string PredictionTable(const std::vector<PredictedArm>& arms,
                            const std::vector<std::string>& doubts) {
  std::vector<Row> rows = {
      {"arm", "compute", "communication", "exposed", "predicted", "measured", "residual"},
      {"", "ms", "ms", "ms", "step ms", "step ms", "%"}};
  std::vector<std::string> noted, failed;
  for (const PredictedArm& arm : arms) {
    rows.push_back(RowOf(arm));
    const std::optional<double> residual = ResidualOf(arm);
    if (residual && std::abs(*residual) > kResidualNoted) noted.push_back(arm.arm);
    if (!arm.status.empty() && arm.status != "ok")
      failed.push_back(absl::StrCat(arm.arm, " failed: ", arm.status));
  }
  std::string text = TextOf(rows, 2);
  std::string orders;
  for (const PredictedArm& arm : arms)
    if (arm.order.has_value()) absl::StrAppend(&orders, OrderText(arm), "\n");
  if (!orders.empty()) absl::StrAppend(&text, "\n", orders);
  if (!doubts.empty()) absl::StrAppend(&text, "\ndoubtful: ", absl::StrJoin(doubts, "\n  "), "\n");
  absl::StrAppend(&text,
                  "\ncommunication: a step's exchange by itself; exposed: what of it, or of a "
                  "gate, a step waits for\n"
                  "a step longer than compute and exposed: its work and its messages need the "
                  "cores for so long\n"
                  "steps are medians; residual: (measured - predicted) / measured, above 0 where "
                  "the run took longer\n");
  for (const std::string& link : LinkTexts(arms)) absl::StrAppend(&text, link, "\n");
  if (!noted.empty()) {
    absl::StrAppend(&text, "! more than 20 % off: ", absl::StrJoin(noted, ", "),
                    "; the model knows no threads that wait for a core, and no additions\n");
  }
  for (const std::string& line : failed) absl::StrAppend(&text, line, "\n");
  return text;
}

std::string PredictionJson(const std::vector<PredictedArm>& arms,
                           const std::vector<std::string>& doubts) {
  Json rows = Json::Array();
  for (const PredictedArm& arm : arms) {
    const Prediction& p = arm.prediction;
    const std::optional<double> residual = ResidualOf(arm);
    Json row;
    row["arm"] = arm.arm;
    row["transport"] = arm.transport;
    row["predicted_step_ms"] = p.step_ms();
    row["compute_ms"] = p.compute_ms();
    row["communication_ms"] = p.communication_ms();
    row["exposed_ms"] = p.exposed_ms();
    row["latency_us"] = p.latency_us();
    // 0 stands for a link without a limit that can be measured, or none at all.
    row["bytes_per_second"] = p.bytes_per_second() > 0 ? Json(p.bytes_per_second()) : Json();
    row["round_trip_samples"] = p.round_trip_samples();
    row["status"] = arm.status.empty() ? Json() : Json(arm.status);
    row["measured_step_ms"] = arm.measured_step_ms ? Json(*arm.measured_step_ms) : Json();
    row["residual"] = residual ? Json(*residual) : Json();
    if (arm.order.has_value()) {
      row["order"] = {{"flag", arm.order->flag},
                      {"ranks_step_ms", arm.order->ranks_step_ms},
                      {"looked_at", arm.order->looked_at},
                      {"is_best", arm.order->is_best}};
    }
    rows.push_back(std::move(row));
  }
  Json texts = Json::Array();
  for (const std::string& doubt : doubts) texts.push_back(doubt);
  return Json{
      {"arms", std::move(rows)}, {"doubts", std::move(texts)}, {kSchemaVersionKey, kSchemaVersion}}
      .Dump();
}

}  // namespace ringmaster
