#include "common/config/comparable.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace ringmaster {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

struct Difference {
  std::string path;
  std::string a;
  std::string b;
};

bool Present(const Message& message, const FieldDescriptor& field) {
  return !field.has_presence() || message.GetReflection()->HasField(message, &field);
}

std::string ValueText(const Message& message, const FieldDescriptor& field) {
  if (!field.is_repeated() && !Present(message, field)) return "not set";
  std::string text;
  if (!field.is_repeated()) {
    google::protobuf::TextFormat::PrintFieldValueToString(message, &field, -1, &text);
    return text;
  }
  std::vector<std::string> values;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Message& element = message.GetReflection()->GetRepeatedMessage(message, &field, i);
      values.push_back(absl::StrCat("{", element.ShortDebugString(), "}"));
      continue;
    }
    google::protobuf::TextFormat::PrintFieldValueToString(message, &field, i, &text);
    values.push_back(text);
  }
  return absl::StrCat("[", absl::StrJoin(values, ", "), "]");
}

std::optional<Difference> FirstDifference(const Message& a, const Message& b,
                                          const std::string& prefix) {
  for (int i = 0; i < a.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *a.GetDescriptor()->field(i);
    const std::string path = absl::StrCat(prefix, field.name());
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_repeated()) {
      // An unset message differs from a set one by the fields of the latter; two empty ones do not
      // differ. Of two unset ones nothing is looked at: messages may hold others of their own kind.
      if (!a.GetReflection()->HasField(a, &field) && !b.GetReflection()->HasField(b, &field))
        continue;
      const auto inner =
          FirstDifference(a.GetReflection()->GetMessage(a, &field),
                          b.GetReflection()->GetMessage(b, &field), absl::StrCat(path, "."));
      if (inner.has_value()) return inner;
      continue;
    }
    const Difference difference{path, ValueText(a, field), ValueText(b, field)};
    if (difference.a != difference.b) return difference;
  }
  return std::nullopt;
}

void ClearPath(absl::string_view path, Message* message) {
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names[i]);
    if (field == nullptr) return;
    if (i + 1 == names.size()) return message->GetReflection()->ClearField(message, field);
    if (field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE ||
        !message->GetReflection()->HasField(*message, field)) {
      return;
    }
    message = message->GetReflection()->MutableMessage(message, field);
  }
}

RunSpec Erased(const RunSpec& spec, bool erase_transport_name) {
  RunSpec shared = SharedPart(spec);
  if (erase_transport_name) shared.mutable_transport()->clear_name();
  return shared;
}

}  // namespace

RunSpec SharedPart(RunSpec spec) {
  for (const TunedFieldSpec& tuned : spec.tuning().fields()) ClearPath(tuned.field(), &spec);
  spec.clear_name();
  spec.clear_strategy();
  spec.clear_codec();
  spec.clear_output();
  return spec;
}

bool IsTunable(absl::string_view field) {
  const absl::string_view root = field.substr(0, field.find('.'));
  return root.size() < field.size() &&
         (root == "optimizer" || root == "codec" || root == "strategy");
}

absl::Status CheckComparable(const RunSpec& a, const RunSpec& b) {
  const bool threads = a.strategy().launch() == THREADS || b.strategy().launch() == THREADS;
  const auto difference = FirstDifference(Erased(a, threads), Erased(b, threads), "");
  if (!difference.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "runs \"", a.name(), "\" and \"", b.name(), "\" cannot be compared: ", difference->path,
      " is ", difference->a, " in \"", a.name(), "\" and ", difference->b, " in \"", b.name(),
      "\"; only strategy and codec may differ, so run both with one value"));
}

std::string DifferenceText(const RunSpec& there, const RunSpec& here) {
  const auto difference = FirstDifference(there, here, "");
  if (!difference.has_value()) return "";
  return absl::StrCat(difference->path, " is ", difference->a, " there and ", difference->b,
                      " here");
}

}  // namespace ringmaster
