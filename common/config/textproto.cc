#include "common/config/textproto.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/known_words.h"
#include "common/base/system_error.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace ringmaster {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

// A spec is a page of text; a file beyond this is something else.
constexpr size_t kMaxBytes = 1 << 20;

// Keeps the first error; without a collector protobuf would print to stderr.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  FirstError(absl::string_view source, const Descriptor& type) : source_(source), type_(type) {}

  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    // Errors of the whole text come with line -1.
    text_ = line < 0 ? source_ : absl::StrCat(source_, ":", line + 1, ":", column + 1);
    absl::StrAppend(&text_, ": ", TextprotoProblem(message, type_));
  }
  void AddWarning(int line, int column, const std::string& message) override {}

  const std::string& text() const { return text_; }

 private:
  const std::string source_;
  const Descriptor& type_;
  std::string text_;
};

// The text in quotation marks behind `lead` in `said`; empty: `said` has no such part.
std::string QuotedBehind(absl::string_view said, absl::string_view lead) {
  const size_t at = said.find(absl::StrCat(lead, "\""));
  if (at == absl::string_view::npos) return "";
  said.remove_prefix(at + lead.size() + 1);
  return std::string(said.substr(0, said.find('"')));
}

// The type of the first field of that name, anywhere below `type`, whose values are an enum's.
// Null: there is none.
const EnumDescriptor* EnumOfField(const Descriptor& type, const std::string& field,
                                  std::set<const Descriptor*>* seen) {
  if (!seen->insert(&type).second) return nullptr;
  const FieldDescriptor* own = type.FindFieldByName(field);
  if (own != nullptr && own->enum_type() != nullptr) return own->enum_type();
  for (int i = 0; i < type.field_count(); ++i) {
    const Descriptor* below = type.field(i)->message_type();
    const EnumDescriptor* found = below == nullptr ? nullptr : EnumOfField(*below, field, seen);
    if (found != nullptr) return found;
  }
  return nullptr;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

bool SaysUnset(const google::protobuf::EnumValueDescriptor& value) {
  return absl::EndsWith(value.name(), "_UNSET");
}

std::vector<std::string> ValueNames(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (!SaysUnset(*type.value(i))) names.push_back(type.value(i)->name());
  }
  return names;
}

std::string TextprotoProblem(absl::string_view said, const Descriptor& root) {
  const std::string text(absl::StripSuffix(said, "."));
  std::vector<std::string> known;
  std::string word = QuotedBehind(said, "has no field named ");
  if (!word.empty()) {
    const Descriptor* type =
        root.file()->pool()->FindMessageTypeByName(QuotedBehind(said, "Message type "));
    for (int i = 0; type != nullptr && i < type->field_count(); ++i)
      known.push_back(type->field(i)->name());
  } else if (word = QuotedBehind(said, "enumeration value of "); !word.empty()) {
    std::set<const Descriptor*> seen;
    const EnumDescriptor* type = EnumOfField(root, QuotedBehind(said, "for field "), &seen);
    if (type != nullptr) known = ValueNames(*type);
  }
  return known.empty() ? text : absl::StrCat(text, "; ", KnownWordsText(word, known));
}

std::string NearbyTextproto(const std::string& path, const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder.empty() ? "." : folder, error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".textproto") names.push_back(it->path().stem().string());
  }
  std::sort(names.begin(), names.end());
  const std::string nearest = NearestWord(std::filesystem::path(path).stem().string(), names);
  return nearest.empty() ? "" : (std::filesystem::path(folder) / (nearest + ".textproto")).string();
}

absl::Status ParseTextproto(absl::string_view text, absl::string_view source,
                            google::protobuf::Message* message) {
  FirstError errors(source, *message->GetDescriptor());
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  if (parser.ParseFromString(std::string(text), message)) return absl::OkStatus();
  const auto& type = *message->GetDescriptor();
  return absl::InvalidArgumentError(absl::StrCat(errors.text(), "; expected a ", type.name(),
                                                 " textproto, whose fields ", type.file()->name(),
                                                 " describes"));
}

std::string ToTextproto(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

absl::Status LoadTextproto(const std::string& path, absl::string_view what,
                           google::protobuf::Message* message) {
  const std::string expected =
      absl::StrCat("; expected a ", message->GetDescriptor()->name(), " textproto");
  const auto cannot_read = [&](int error) {
    const std::string near =
        NearbyTextproto(path, std::filesystem::path(path).parent_path().string());
    const std::string hint =
        error == ENOENT && !near.empty() ? absl::StrCat("; did you mean ", near, "?") : "";
    const std::string text =
        absl::StrCat(what, " ", path, ": cannot be read (", ErrorText(error), ")", expected, hint);
    return error == ENOENT ? absl::NotFoundError(text) : absl::InvalidArgumentError(text);
  };
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return cannot_read(errno);
  std::string text(kMaxBytes + 1, '\0');
  text.resize(std::fread(&text[0], 1, text.size(), file.get()));
  if (std::ferror(file.get())) return cannot_read(errno);
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " ", path, ": longer than ", kMaxBytes, " bytes", expected));
  }
  return ParseTextproto(text, path, message);
}

}  // namespace ringmaster
