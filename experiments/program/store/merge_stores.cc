#include "experiments/program/store/merge_stores.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/formats/atomic_file.h"
#include "common/formats/json.h"
#include "common/machine/file_system.h"
#include "experiments/program/store/json_lines.h"
#include "experiments/program/store/run_files.h"
#include "experiments/program/store/store.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

namespace fs = std::filesystem;

constexpr char kFirstLines[] = "results.jsonl";

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

bool IsSame(const std::string& a, const std::string& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

absl::Status Conflict(const std::string& run_id, const std::string& a, const std::string& b,
                      const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("run ", run_id, ": ", a, " and ", b, " have unlike ", what,
                   " of it, and nobody can know which is right; nothing was merged: leave one of "
                   "the two folders out, or remove the run from it"));
}

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? SystemError(error.value(), absl::StrCat("cannot make ", path)) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<StoreMerge> StoreMerge::Read(const std::string& out,
                                            const std::vector<std::string>& folders) {
  StoreMerge merge(out);
  std::error_code error;
  const bool is_there = fs::exists(out + "/results.sqlite", error) || !LineFiles(out).empty();
  if (is_there) RM_RETURN_IF_ERROR(merge.Add(out));
  for (const auto& [id, run] : merge.runs_) merge.in_out_.insert(id);
  for (const std::string& folder : folders) {
    if (!IsSame(folder, out)) RM_RETURN_IF_ERROR(merge.Add(folder));
  }
  std::vector<std::string> bare;
  for (const auto& [id, run] : merge.runs_) {
    if (run.bytes.empty()) bare.push_back(id);
  }
  if (!bare.empty()) {
    merge.problems_.push_back(absl::StrCat("runs that have a line of figures and no record: ",
                                           absl::StrJoin(bare, ", ")));
  }
  for (const auto& [trial, ids] : merge.trials_) {
    if (ids.size() < 2) continue;
    merge.problems_.push_back(absl::StrCat(trial, ": was run ", ids.size(), " times (",
                                           absl::StrJoin(ids, ", "), "), and all are kept"));
  }
  return merge;
}

absl::Status StoreMerge::Add(const std::string& folder) {
  RM_ASSIGN_OR_RETURN(const std::vector<RunRecord> records, Store::ReadRecords(folder));
  for (const RunRecord& record : records) RM_RETURN_IF_ERROR(AddRecord(folder, record));
  return AddLines(folder);
}

absl::Status StoreMerge::AddRecord(const std::string& folder, const RunRecord& record) {
  const std::string& id = record.run_id();
  if (!CanBeFileName(id)) {
    return absl::InvalidArgumentError(absl::StrCat("store ", folder, ": its run_id \"", id,
                                                   "\" cannot be part of a file's name"));
  }
  Run run{record.started_at(), LineOf(record), RecordBytes(record), folder};
  const auto [place, is_new] = runs_.try_emplace(id, run);
  Run& known = place->second;
  // A store that has lost its record has the line.
  if (!is_new && known.bytes.empty()) known = run;
  if (known.bytes != run.bytes) return Conflict(id, known.folder, folder, "records");
  if (!is_new || record.status() != "ok" || !record.has_sweep()) return absl::OkStatus();
  const SweepMembership& sweep = record.sweep();
  trials_[absl::StrCat("sweep ", sweep.sweep(), ", cell ", sweep.cell(), ", trial ", sweep.trial())]
      .push_back(id);
  return absl::OkStatus();
}

absl::Status StoreMerge::AddLines(const std::string& folder) {
  for (const std::string& name : LineFiles(folder)) {
    const std::string text = ReadAll(folder + "/" + name);
    int64_t number = 0;
    for (size_t begin = 0; begin < text.size(); ++number) {
      const size_t end = text.find('\n', begin);
      const std::string line = text.substr(begin, end - begin);
      begin = end == std::string::npos ? text.size() : end + 1;
      const bool is_whole = end != std::string::npos && Json::Parse(line).has_value();
      if (is_whole) {
        RM_RETURN_IF_ERROR(AddLine(folder, line));
        if (folder == out_ && name != kFirstLines) elsewhere_.insert(TextIn(line, "run_id"));
      } else if (!line.empty()) {
        problems_.push_back(absl::StrCat(folder, "/", name, ", line ", number + 1,
                                         ": is not whole (a program was stopped as it wrote it) "
                                         "and is left out"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status StoreMerge::AddLine(const std::string& folder, const std::string& line) {
  const std::string id = TextIn(line, "run_id");
  if (id.empty()) return absl::OkStatus();
  const auto [place, is_new] =
      runs_.try_emplace(id, Run{TextIn(line, "started_at"), line, "", folder});
  const Run& known = place->second;
  // A record says more than any program's line of it.
  if (is_new || !known.bytes.empty() || known.line == line) return absl::OkStatus();
  return Conflict(id, known.folder, folder, "lines");
}

std::string StoreMerge::Lines() const {
  std::vector<std::pair<std::string, const Run*>> order;
  for (const auto& [id, run] : runs_) {
    if (elsewhere_.count(id) == 0) order.emplace_back(id, &run);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::tie(a.second->started_at, a.first) < std::tie(b.second->started_at, b.first);
  });
  std::string lines;
  for (const auto& [id, run] : order) absl::StrAppend(&lines, run->line, "\n");
  return lines;
}

absl::Status StoreMerge::CheckNobodyWrites() const {
  const std::string path = FirstLines();
  std::error_code error;
  // On a network file system nobody takes a lock, and all have files of their own.
  if (!fs::exists(path, error) || !NetworkFileSystemAt(out_).empty()) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<JsonLines> lines, JsonLines::Open(path));
  if (lines->Lock()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("store ", out_, ": another program is writing to ",
                                             kFirstLines, "; try again when it has ended"));
}

absl::Status StoreMerge::Write() const {
  RM_RETURN_IF_ERROR(MakeFolder(out_ + "/records"));
  RM_RETURN_IF_ERROR(CheckNobodyWrites());
  std::error_code error;
  // Records first: a line promises one.
  for (const auto& [id, run] : runs_) {
    const std::string path = RecordPath(out_, id);
    if (run.bytes.empty() || fs::exists(path, error)) continue;
    RM_RETURN_IF_ERROR(WriteFileAtomically(path, run.bytes));
  }
  const std::string lines = Lines();
  if (!fs::exists(FirstLines(), error) || ReadAll(FirstLines()) != lines)
    RM_RETURN_IF_ERROR(WriteFileAtomically(FirstLines(), lines));
  return Store::Rebuild(out_).status();
}

}  // namespace ringmaster
