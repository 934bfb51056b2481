#include "experiments/program/store/run_files.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/fingerprint.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/formats/atomic_file.h"
#include "common/machine/file_system.h"
#include "common/machine/host_identity.h"
#include "experiments/program/store/json.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr char kFirstLines[] = "results.jsonl";

}  // namespace

bool CanBeFileName(const std::string& run_id) {
  return !run_id.empty() && run_id[0] != '.' &&
         std::all_of(run_id.begin(), run_id.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

std::string RecordPath(const std::string& folder, const std::string& run_id) {
  return absl::StrCat(folder, "/records/", run_id, ".pb");
}

std::string RecordBytes(const RunRecord& record) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);  // a map's entries by their keys
  record.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

std::string LineOf(const RunRecord& record) {
  std::string line = SummaryJson(record);
  line.pop_back();
  absl::StrAppend(&line, ",\"record_file\":\"records/", record.run_id(), ".pb\"}");
  return line;
}

std::string TextIn(const std::string& line, const std::string& key) {
  // SummaryJson wrote it: the first such key is the run's.
  const std::string begin_text = "\"" + key + "\":\"";
  const size_t at = line.find(begin_text);
  if (at == std::string::npos) return "";
  const size_t begin = at + begin_text.size();
  return line.substr(begin, line.find('"', begin) - begin);
}

std::vector<std::string> LineFiles(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  // Of a network's folder this machine remembers a listing until it learns of a change.
  LastChange(folder).status().IgnoreError();
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name == kFirstLines ||
        (absl::StartsWith(name, "results-") && absl::EndsWith(name, ".jsonl")))
      names.push_back(name);
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return std::make_pair(a != kFirstLines, a) < std::make_pair(b != kFirstLines, b);
  });
  return names;
}

std::vector<ListedRun> LineFollower::ReadNew() {
  std::vector<ListedRun> runs;
  for (const std::string& name : LineFiles(folder_)) {
    int64_t& read = read_bytes_[name];
    std::ifstream lines(folder_ + "/" + name, std::ios::binary);
    lines.seekg(0, std::ios::end);
    if (lines.tellg() < read) read = 0;  // a writer took its last line back
    lines.seekg(read);
    for (std::string line; std::getline(lines, line);) {
      if (lines.eof()) break;  // without its end
      read += static_cast<int64_t>(line.size()) + 1;
      ListedRun run{TextIn(line, "run_id"), TextIn(line, "started_at"), ""};
      if (run.run_id.empty()) continue;
      const std::string path = RecordPath(folder_, run.run_id);
      std::error_code error;
      if (CanBeFileName(run.run_id) && std::filesystem::is_regular_file(path, error))
        run.record_file = path;
      runs.push_back(std::move(run));
    }
  }
  std::stable_sort(runs.begin(), runs.end(), [](const ListedRun& a, const ListedRun& b) {
    return a.started_at < b.started_at;
  });
  return runs;
}

std::vector<ListedRun> ListRuns(const std::string& folder) {
  return LineFollower(folder).ReadNew();
}

absl::StatusOr<RunRecord> ReadRecordFile(const ListedRun& run) {
  std::ifstream file(run.record_file, std::ios::binary);
  if (!file) return SystemError(errno, absl::StrCat("record file ", run.record_file));
  RunRecord record;
  if (record.ParseFromString(std::string(std::istreambuf_iterator<char>(file), {})) &&
      record.run_id() == run.run_id)
    return record;
  return absl::DataLossError(
      absl::StrCat("record file ", run.record_file, ": holds no record of run ", run.run_id,
                   "; it is left as it is, and its line in results.jsonl has "
                   "the run's figures"));
}

absl::StatusOr<std::unique_ptr<RunFiles>> RunFiles::Open(const std::string& folder) {
  std::unique_ptr<RunFiles> files(new RunFiles(folder));
  RM_ASSIGN_OR_RETURN(files->lines_, JsonLines::Open(absl::StrCat(folder, "/", kFirstLines)));
  files->first_is_taken_ = !files->lines_->Lock();
  if (files->first_is_taken_) files->lines_.reset();
  return files;
}

absl::StatusOr<std::unique_ptr<RunFiles>> RunFiles::OpenOwn(const std::string& folder) {
  std::unique_ptr<RunFiles> files(new RunFiles(folder));
  files->takes_locks_ = false;
  return files;
}

absl::Status RunFiles::OpenOwnLines() {
  const uint64_t id =
      Fingerprint64(absl::StrCat(ReadHostIdentity().boot_id, " ", getpid(), " ",
                                 absl::ToInt64Nanoseconds(MonotonicNow().since_origin())));
  RM_ASSIGN_OR_RETURN(lines_,
                      JsonLines::Open(absl::StrFormat("%s/results-%08x.jsonl", folder_, id >> 32)));
  // Nobody else has its name; readers may see that it is in use.
  if (takes_locks_) lines_->Lock();
  return absl::OkStatus();
}

absl::Status RunFiles::WriteRecord(const RunRecord& record) {
  const std::string path = RecordPath(folder_, record.run_id());
  std::error_code error;
  std::filesystem::create_directories(folder_ + "/records", error);
  if (std::filesystem::exists(path, error))
    return absl::AlreadyExistsError(absl::StrCat("record file ", path, " exists"));
  const absl::Status written = WriteFileAtomically(path, RecordBytes(record));
  // Whatever its code: the run is not stored now, and may be later.
  return written.ok() ? written : absl::UnavailableError(written.message());
}

absl::Status RunFiles::Append(const RunRecord& record, absl::FunctionRef<bool()> is_wanted) {
  last_record_.clear();
  if (!CanBeFileName(record.run_id())) {
    return absl::InvalidArgumentError(
        absl::StrCat("run_id \"", record.run_id(),
                     "\": names a file; expected letters, digits, '-', '_' and '.'"));
  }
  if (lines_ == nullptr) RM_RETURN_IF_ERROR(OpenOwnLines());
  RM_RETURN_IF_ERROR(WriteRecord(record));
  const std::string path = RecordPath(folder_, record.run_id());
  const std::string line = LineOf(record);
  const absl::Status appended =
      is_wanted() ? lines_->Append(line) : absl::AbortedError("it is not wanted any more");
  std::error_code error;
  if (appended.ok()) {
    last_record_ = path;
  } else {
    std::filesystem::remove(path, error);
  }
  return appended;
}

absl::Status RunFiles::Import(const RunRecord& record, bool has_line) {
  return has_line && CanBeFileName(record.run_id()) ? WriteRecord(record)
                                                    : Append(record, [] { return true; });
}

void RunFiles::Undo() {
  if (last_record_.empty()) return;
  lines_->Undo();
  std::error_code error;
  std::filesystem::remove(last_record_, error);
  last_record_.clear();
}

}  // namespace ringmaster
