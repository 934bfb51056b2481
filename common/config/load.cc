#include "common/config/load.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace ringmaster {
namespace {

// A run spec is a page of text; a file beyond this is something else.
constexpr size_t kMaxSpecBytes = 1 << 20;

// Keeps the first error; without a collector protobuf would print to stderr.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(absl::string_view source) : source_(source) {}

  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    // Errors of the whole text come with line -1.
    text_ = line < 0 ? source_ : absl::StrCat(source_, ":", line + 1, ":", column + 1);
    absl::StrAppend(&text_, ": ", absl::StripSuffix(message, "."));
  }
  void AddWarning(int line, int column, const std::string& message) override {}

  const std::string& text() const { return text_; }

 private:
  const std::string source_;
  std::string text_;
};

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

absl::Status CannotRead(const std::string& path, int error) {
  const std::string text =
      absl::StrCat("run spec ", path, ": cannot be read (", std::strerror(error), "); expected a RunSpec textproto");
  return error == ENOENT ? absl::NotFoundError(text) : absl::InvalidArgumentError(text);
}

}  // namespace

absl::StatusOr<RunSpec> ParseRunSpec(absl::string_view text, absl::string_view source) {
  FirstError errors(source);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  RunSpec spec;
  if (!parser.ParseFromString(std::string(text), &spec)) {
    return absl::InvalidArgumentError(
        absl::StrCat(errors.text(), "; expected a RunSpec textproto, whose fields proto/run_spec.proto describes"));
  }
  return spec;
}

absl::StatusOr<RunSpec> LoadRunSpec(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return CannotRead(path, errno);
  std::string text(kMaxSpecBytes + 1, '\0');
  text.resize(std::fread(&text[0], 1, text.size(), file.get()));
  if (std::ferror(file.get())) return CannotRead(path, errno);
  if (text.size() > kMaxSpecBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("run spec ", path, ": longer than ", kMaxSpecBytes, " bytes; expected a RunSpec textproto"));
  }
  return ParseRunSpec(text, path);
}

std::string SerializeRunSpec(const RunSpec& spec) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(spec, &text);
  return text;
}

}  // namespace ringmaster
