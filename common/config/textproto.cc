#include "common/config/textproto.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/system_error.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace ringmaster {
namespace {

// A spec is a page of text; a file beyond this is something else.
constexpr size_t kMaxBytes = 1 << 20;

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

}  // namespace

absl::Status ParseTextproto(absl::string_view text, absl::string_view source, google::protobuf::Message* message) {
  FirstError errors(source);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  if (parser.ParseFromString(std::string(text), message)) return absl::OkStatus();
  const auto& type = *message->GetDescriptor();
  return absl::InvalidArgumentError(absl::StrCat(errors.text(), "; expected a ", type.name(),
                                                 " textproto, whose fields ", type.file()->name(), " describes"));
}

absl::Status LoadTextproto(const std::string& path, absl::string_view what, google::protobuf::Message* message) {
  const std::string expected = absl::StrCat("; expected a ", message->GetDescriptor()->name(), " textproto");
  const auto cannot_read = [&](int error) {
    const std::string text = absl::StrCat(what, " ", path, ": cannot be read (", ErrorText(error), ")", expected);
    return error == ENOENT ? absl::NotFoundError(text) : absl::InvalidArgumentError(text);
  };
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return cannot_read(errno);
  std::string text(kMaxBytes + 1, '\0');
  text.resize(std::fread(&text[0], 1, text.size(), file.get()));
  if (std::ferror(file.get())) return cannot_read(errno);
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(what, " ", path, ": longer than ", kMaxBytes, " bytes", expected));
  }
  return ParseTextproto(text, path, message);
}

}  // namespace ringmaster
