#include "common/config/override.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/config/textproto.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

absl::Status UnknownField(const Descriptor& type, absl::string_view name,
                          absl::string_view prefix) {
  std::vector<std::string> fields;
  for (int i = 0; i < type.field_count(); ++i) fields.push_back(type.field(i)->name());
  if (fields.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", prefix, "\" has no fields; set it as a whole with \"", prefix, "={}\""));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no field \"", name, "\" ",
                   prefix.empty() ? "in a run spec" : absl::StrCat("in \"", prefix, "\""), "; ",
                   KnownWordsText(name, fields)));
}

template <typename T>
absl::StatusOr<T> Integer(const std::string& text) {
  T value;
  if (absl::SimpleAtoi(text, &value)) return value;
  const bool is_signed = std::is_signed<T>::value;
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not ",
                                                 is_signed ? "a" : "a non-negative",
                                                 " whole number of ", 8 * sizeof(T), " bits"));
}

absl::StatusOr<double> Real(const std::string& text) {
  double value;
  if (absl::SimpleAtod(text, &value) && std::isfinite(value)) return value;
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a finite number"));
}

absl::StatusOr<bool> Boolean(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is neither true nor false"));
}

absl::StatusOr<int> EnumNumber(const FieldDescriptor& field, const std::string& text) {
  const auto* value = field.enum_type()->FindValueByName(absl::AsciiStrToUpper(text));
  if (value != nullptr && !SaysUnset(*value)) return value->number();
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", text, "\" is no value of it; ", KnownWordsText(text, ValueNames(*field.enum_type()))));
}

// Sets (or, for a repeated field, appends) one scalar.
#define RM_SET_OR_ADD(Kind, value)                    \
  do {                                                \
    if (field.is_repeated()) {                        \
      reflection.Add##Kind(message, &field, (value)); \
    } else {                                          \
      reflection.Set##Kind(message, &field, (value)); \
    }                                                 \
    return absl::OkStatus();                          \
  } while (false)

absl::Status SetScalar(const FieldDescriptor& field, const std::string& text, Message* message) {
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      RM_ASSIGN_OR_RETURN(const int32_t value, Integer<int32_t>(text));
      RM_SET_OR_ADD(Int32, value);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      RM_ASSIGN_OR_RETURN(const int64_t value, Integer<int64_t>(text));
      RM_SET_OR_ADD(Int64, value);
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      RM_ASSIGN_OR_RETURN(const uint32_t value, Integer<uint32_t>(text));
      RM_SET_OR_ADD(UInt32, value);
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      RM_ASSIGN_OR_RETURN(const uint64_t value, Integer<uint64_t>(text));
      RM_SET_OR_ADD(UInt64, value);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      RM_ASSIGN_OR_RETURN(const double value, Real(text));
      RM_SET_OR_ADD(Double, value);
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      RM_ASSIGN_OR_RETURN(const double value, Real(text));
      if (!std::isfinite(static_cast<float>(value)))
        return absl::InvalidArgumentError("it does not fit a 32-bit float");
      RM_SET_OR_ADD(Float, static_cast<float>(value));
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      RM_ASSIGN_OR_RETURN(const bool value, Boolean(text));
      RM_SET_OR_ADD(Bool, value);
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      RM_ASSIGN_OR_RETURN(const int value, EnumNumber(field, text));
      RM_SET_OR_ADD(EnumValue, value);
    }
    case FieldDescriptor::CPPTYPE_STRING:
      RM_SET_OR_ADD(String, text);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return absl::InternalError(absl::StrCat("field \"", field.name(), "\" is not a scalar"));
}
#undef RM_SET_OR_ADD

class FirstMessage : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text.empty()) text = message;
  }
  std::string text;
};

// The elements of a list of messages: {...}, or [{...}, {...}].
absl::Status SetMessages(const FieldDescriptor& field, const std::string& text, Message* message) {
  message->GetReflection()->ClearField(message, &field);
  if (text == "[]") return absl::OkStatus();
  if (text.empty() || (text.front() != '{' && text.front() != '[')) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", field.name(),
                     "\" is a list whose elements have fields of their own; set it as {...} or "
                     "[{...}, {...}]"));
  }
  FirstMessage errors;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  if (parser.MergeFromString(absl::StrCat(field.name(), ": ", text), message))
    return absl::OkStatus();
  return absl::InvalidArgumentError(TextprotoProblem(errors.text, *message->GetDescriptor()));
}

absl::Status SetMessage(const FieldDescriptor& field, const std::string& text, Message* message) {
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", field.name(), "\" has fields of its own; set one of them, or all with {...}"));
  }
  Message* child = message->GetReflection()->MutableMessage(message, &field);
  FirstMessage errors;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  if (parser.ParseFromString(text.substr(1, text.size() - 2), child)) return absl::OkStatus();
  return absl::InvalidArgumentError(TextprotoProblem(errors.text, *message->GetDescriptor()));
}

absl::Status SetLast(const FieldDescriptor& field, const std::string& text, Message* message) {
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (field.is_repeated() && is_message) return SetMessages(field, text, message);
  if (field.is_repeated()) {
    message->GetReflection()->ClearField(message, &field);
    for (absl::string_view item : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
      RM_RETURN_IF_ERROR(SetScalar(field, std::string(absl::StripAsciiWhitespace(item)), message));
    }
    return absl::OkStatus();
  }
  if (is_message) return SetMessage(field, text, message);
  return SetScalar(field, text, message);
}

absl::Status SetPath(absl::string_view path, const std::string& value, Message* message) {
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  std::string prefix;
  for (size_t i = 0; i < names.size(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names[i]);
    if (field == nullptr) return UnknownField(*message->GetDescriptor(), names[i], prefix);
    if (i + 1 == names.size()) return SetLast(*field, value, message);
    absl::StrAppend(&prefix, prefix.empty() ? "" : ".", names[i]);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", prefix, "\" is a value and has no fields"));
    }
    if (field->is_repeated()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", prefix, "\" is a list; set all of it, with \"", prefix, "=[{...}, {...}]\""));
    }
    message = message->GetReflection()->MutableMessage(message, field);
  }
  return absl::InternalError("an empty path");
}

// Adds the paths of all fields below `type` called `name`.
void FindPaths(const Descriptor& type, absl::string_view name, const std::string& prefix,
               std::vector<std::string>* paths) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string path = absl::StrCat(prefix, prefix.empty() ? "" : ".", field.name());
    if (field.name() == name) paths->push_back(path);
    if (field.message_type() != nullptr && !field.is_repeated())
      FindPaths(*field.message_type(), name, path, paths);
  }
}

}  // namespace

std::string FieldCalled(absl::string_view name,
                        absl::FunctionRef<bool(const std::string&)> wanted) {
  std::vector<std::string> paths;
  FindPaths(*RunSpec::descriptor(), name, "", &paths);
  std::string least;
  int64_t least_depth = 0;
  bool is_one = false;
  for (const std::string& path : paths) {
    if (!wanted(path)) continue;
    const int64_t depth = std::count(path.begin(), path.end(), '.');
    is_one = least.empty() || depth < least_depth || (is_one && depth > least_depth);
    if (!least.empty() && depth >= least_depth) continue;
    least = path;
    least_depth = depth;
  }
  return is_one ? least : "";
}

absl::Status SetField(absl::string_view assignment, RunSpec* spec) {
  const size_t equals = assignment.find('=');
  if (equals == absl::string_view::npos) {
    return absl::InvalidArgumentError("expected field.path=value, for example training.steps=100");
  }
  const absl::string_view path = absl::StripAsciiWhitespace(assignment.substr(0, equals));
  const std::string value(absl::StripAsciiWhitespace(assignment.substr(equals + 1)));
  RunSpec changed = *spec;
  RM_RETURN_IF_ERROR(SetPath(path, value, &changed));
  *spec = std::move(changed);
  return absl::OkStatus();
}

}  // namespace ringmaster
