#include "experiments/trace/find_run.h"

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/known_words.h"
#include "proto/run_record.pb.h"

namespace ringmaster {

absl::StatusOr<const RunRecord*> FindRun(absl::Span<const RunRecord> records,
                                         const std::string& name) {
  if (name == "last" && !records.empty()) return &records.back();
  const RunRecord* of_arm = nullptr;
  std::vector<const RunRecord*> begin_so;
  for (const RunRecord& record : records) {
    if (record.run_id() == name) return &record;
    if (record.spec().name() == name) of_arm = &record;
    if (!name.empty() && absl::StartsWith(record.run_id(), name)) begin_so.push_back(&record);
  }
  if (of_arm != nullptr) return of_arm;
  if (begin_so.size() == 1) return begin_so[0];
  if (begin_so.empty()) {
    std::vector<std::string> known = {"last"};
    for (const RunRecord& record : records) known.push_back(record.spec().name());
    const std::string nearest = NearestWord(name, known);
    return absl::NotFoundError(
        absl::StrCat("no run \"", name, "\"",
                     nearest.empty() ? "" : absl::StrCat(" (did you mean \"", nearest, "\"?)"),
                     " among ", records.size()));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", name, "\" is the beginning of ", begin_so.size(), " run ids, ", begin_so[0]->run_id(),
      " and ", begin_so[1]->run_id(), " among them; write more of it"));
}

bool HasTraces(const RunRecord& record) {
  const auto has_events = [](const NodeLastWords& node) { return node.threads_size() > 0; };
  return std::any_of(record.reports().begin(), record.reports().end(),
                     [](const ProcessReport& report) { return report.traces_size() > 0; }) ||
         std::any_of(record.last_words().begin(), record.last_words().end(),
                     [&](const LastWords& words) {
                       return std::any_of(words.nodes().begin(), words.nodes().end(), has_events);
                     });
}

std::string WhyNoTraces(const RunRecord& record) {
  const std::string run =
      absl::StrCat("run ", record.run_id(), " of arm \"", record.spec().name(), "\"");
  if (record.status() != "ok") {
    return absl::StrCat(
        run, " failed, and none of its processes could tell its last events: ", record.status());
  }
  if (record.spec().output().trace_steps() == 0) {
    return absl::StrCat(run, " was not traced; run it with --set output.trace_steps=3");
  }
  return absl::StrCat(run, " has no step after its ", record.spec().training().warmup_steps(),
                      " of warm-up to be traced; run it with more --steps");
}

std::string TracedRunsText(absl::Span<const RunRecord> records, size_t count_max) {
  std::vector<const RunRecord*> traced;
  size_t arm_width = 3;
  for (const RunRecord& record : records) {
    if (HasTraces(record)) traced.push_back(&record);
  }
  const size_t first = traced.size() - std::min(count_max, traced.size());
  for (size_t i = first; i < traced.size(); ++i)
    arm_width = std::max(arm_width, traced[i]->spec().name().size());
  std::string text;
  for (size_t i = first; i < traced.size(); ++i) {
    const RunRecord& record = *traced[i];
    const std::string what =
        record.last_words_size() > 0
            ? "failed, its last events"
            : absl::StrCat(record.summary().transport(), ", ", record.spec().output().trace_steps(),
                           " steps traced");
    absl::StrAppendFormat(&text, "%s  %-*s  %d workers, %s\n", record.run_id(),
                          static_cast<int>(arm_width), record.spec().name(),
                          record.spec().training().workers(), what);
  }
  if (first > 0) absl::StrAppend(&text, "and ", first, " older ones\n");
  return text;
}

}  // namespace ringmaster
