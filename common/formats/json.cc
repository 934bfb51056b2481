#include "common/formats/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/check.h"

namespace ringmaster {
namespace {

using Library = nlohmann::ordered_json;

std::string DumpLeaf(const Library& leaf, bool ascii) {
  return leaf.dump(-1, ' ', ascii, Library::error_handler_t::replace);
}

Json FromLibrary(const Library& value) {
  if (value.is_object()) {
    Json object = Json::Object();
    for (const auto& member : value.items()) object[member.key()] = FromLibrary(member.value());
    return object;
  }
  if (value.is_array()) {
    Json array = Json::Array();
    for (const Library& item : value) array.push_back(FromLibrary(item));
    return array;
  }
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_float()) return value.get<double>();
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number_integer()) return value.get<int64_t>();
  return nullptr;
}

}  // namespace

Json::Json() = default;
Json::Json(bool value) : value_(value) {}
Json::Json(int value) : value_(int64_t{value}) {}
Json::Json(long value) : value_(static_cast<int64_t>(value)) {}
Json::Json(long long value) : value_(static_cast<int64_t>(value)) {}
Json::Json(unsigned value) : value_(uint64_t{value}) {}
Json::Json(unsigned long value) : value_(static_cast<uint64_t>(value)) {}
Json::Json(unsigned long long value) : value_(static_cast<uint64_t>(value)) {}
Json::Json(double value) : value_(value) {}
Json::Json(const char* text) : value_(std::string(text)) {}
Json::Json(std::string text) : value_(std::move(text)) {}

Json::Json(std::initializer_list<Json> items) {
  const bool is_object = std::all_of(items.begin(), items.end(), [](const Json& item) {
    const auto* pair = std::get_if<Items>(&item.value_);
    return pair != nullptr && pair->size() == 2 &&
           std::holds_alternative<std::string>(pair->front().value_);
  });
  if (!is_object) {
    value_ = Items(items);
    return;
  }
  Members members;
  for (const Json& item : items) {
    const Items& pair = std::get<Items>(item.value_);
    members.push_back({pair[0].text(), pair[1]});
  }
  value_ = std::move(members);
}

Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json Json::Array() {
  Json array;
  array.value_ = Items();
  return array;
}

Json Json::Object() {
  Json object;
  object.value_ = Members();
  return object;
}

void Json::SortMembers() {
  auto& members = std::get<Members>(value_);
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return a.name < b.name; });
}

std::optional<Json> Json::Parse(absl::string_view text) {
  const Library value =
      Library::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::nullopt;
  return FromLibrary(value);
}

std::string Json::Dump() const {
  std::string text;
  Append(/*ascii=*/false, &text);
  return text;
}

std::string Json::DumpAscii() const {
  std::string text;
  Append(/*ascii=*/true, &text);
  return text;
}

void Json::Append(bool ascii, std::string* text) const {
  if (const auto* members = std::get_if<Members>(&value_)) {
    *text += '{';
    for (const Member& member : *members) {
      if (&member != members->data()) *text += ',';
      *text += DumpLeaf(member.name, ascii);
      *text += ':';
      member.value.Append(ascii, text);
    }
    *text += '}';
  } else if (const auto* items = std::get_if<Items>(&value_)) {
    *text += '[';
    for (const Json& item : *items) {
      if (&item != items->data()) *text += ',';
      item.Append(ascii, text);
    }
    *text += ']';
  } else if (const auto* string = std::get_if<std::string>(&value_)) {
    *text += DumpLeaf(*string, ascii);
  } else if (const auto* real = std::get_if<double>(&value_)) {
    *text += DumpLeaf(*real, ascii);
  } else if (const auto* whole = std::get_if<int64_t>(&value_)) {
    *text += std::to_string(*whole);
  } else if (const auto* natural = std::get_if<uint64_t>(&value_)) {
    *text += std::to_string(*natural);
  } else if (const auto* truth = std::get_if<bool>(&value_)) {
    *text += *truth ? "true" : "false";
  } else {
    *text += "null";
  }
}

Json& Json::operator[](absl::string_view name) {
  if (std::holds_alternative<std::monostate>(value_)) value_ = Members();
  auto* members = std::get_if<Members>(&value_);
  RM_CHECK(members != nullptr);
  for (Member& member : *members) {
    if (member.name == name) return member.value;
  }
  members->push_back({std::string(name), Json()});
  return members->back().value;
}

const Json& Json::operator[](absl::string_view name) const {
  const auto* members = std::get_if<Members>(&value_);
  RM_CHECK(members != nullptr);
  const auto found = std::find_if(members->begin(), members->end(),
                                  [&](const Member& member) { return member.name == name; });
  RM_CHECK(found != members->end());
  return found->value;
}

bool Json::contains(absl::string_view name) const {
  const auto* members = std::get_if<Members>(&value_);
  return members != nullptr &&
         std::any_of(members->begin(), members->end(),
                     [&](const Member& member) { return member.name == name; });
}

void Json::push_back(Json item) {
  if (std::holds_alternative<std::monostate>(value_)) value_ = Items();
  auto* items = std::get_if<Items>(&value_);
  RM_CHECK(items != nullptr);
  items->push_back(std::move(item));
}

Json& Json::back() {
  RM_CHECK(begin() != end());
  return *(end() - 1);
}

Json* Json::begin() {
  auto* items = std::get_if<Items>(&value_);
  return items == nullptr ? nullptr : items->data();
}

Json* Json::end() {
  auto* items = std::get_if<Items>(&value_);
  return items == nullptr ? nullptr : items->data() + items->size();
}

const Json* Json::begin() const { return const_cast<Json*>(this)->begin(); }

const Json* Json::end() const { return const_cast<Json*>(this)->end(); }

size_t Json::size() const {
  if (const auto* items = std::get_if<Items>(&value_)) return items->size();
  if (const auto* members = std::get_if<Members>(&value_)) return members->size();
  return std::holds_alternative<std::monostate>(value_) ? 0 : 1;
}

bool Json::is_number() const {
  return std::holds_alternative<int64_t>(value_) || std::holds_alternative<uint64_t>(value_) ||
         std::holds_alternative<double>(value_);
}

double Json::number() const {
  if (const auto* whole = std::get_if<int64_t>(&value_)) return static_cast<double>(*whole);
  if (const auto* natural = std::get_if<uint64_t>(&value_)) return static_cast<double>(*natural);
  const auto* real = std::get_if<double>(&value_);
  RM_CHECK(real != nullptr);
  return *real;
}

const std::string& Json::text() const {
  const auto* string = std::get_if<std::string>(&value_);
  RM_CHECK(string != nullptr);
  return *string;
}

}  // namespace ringmaster
