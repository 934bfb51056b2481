#include "experiments/study/report/spec_fields.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/config/textproto.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"

namespace ringmaster {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// An element of a repeated field, or the field itself with index -1.
std::string ValueText(const Message& message, const FieldDescriptor& field, int index) {
  TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintFieldValueToString(message, &field, index, &text);
  // Strings come quoted, which tells a reader nothing.
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING && text.size() >= 2)
    return text.substr(1, text.size() - 2);
  return text;
}

// Whether the field has a value though its message does not mention it: an enum's 0 that is not
// called unset.
bool IsDefaultValue(const Message& message, const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM && !field.is_repeated() &&
         message.GetReflection()->GetEnumValue(message, &field) == 0 &&
         !SaysUnset(*field.enum_type()->FindValueByNumber(0));
}

void Collect(const Message& message, const std::string& prefix,
             std::map<std::string, std::string>* fields) {
  std::vector<const FieldDescriptor*> present;
  message.GetReflection()->ListFields(message, &present);
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (IsDefaultValue(message, field)) present.push_back(&field);
  }
  for (const FieldDescriptor* field : present) {
    const std::string path = absl::StrCat(prefix, field->name());
    if (field->is_repeated()) {
      std::vector<std::string> values;
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        values.push_back(ValueText(message, *field, i));
      }
      (*fields)[path] = absl::StrCat("[", absl::StrJoin(values, ", "), "]");
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Collect(message.GetReflection()->GetMessage(message, field), absl::StrCat(path, "."), fields);
    } else {
      (*fields)[path] = ValueText(message, *field, -1);
    }
  }
}

}  // namespace

std::map<std::string, std::string> SpecFields(const Message& message) {
  std::map<std::string, std::string> fields;
  Collect(message, "", &fields);
  return fields;
}

std::string ShortFieldName(const std::string& path) {
  if (path == "training.workers") return "N";
  if (path == "training.batch_per_worker") return "batch";
  if (absl::StartsWith(path, "machine.")) return "machine";
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  if (parts.size() < 2) return path;
  const std::string& last = parts.back();
  if (last == "name") return parts[parts.size() - 2];
  const bool vague = parts.size() > 2 && parts[parts.size() - 2] != "parameter_server";
  return vague ? absl::StrCat(parts[parts.size() - 2], ".", last) : last;
}

}  // namespace ringmaster
