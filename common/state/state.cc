#include "common/state/state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"

namespace ringmaster {
namespace {

template <typename Floats, typename Integers, typename Integer>
std::string Described(const std::variant<Floats, Integers, Integer>& value) {
  if (const auto* floats = std::get_if<Floats>(&value))
    return absl::StrCat(floats->size(), " floats");
  if (const auto* integers = std::get_if<Integers>(&value))
    return absl::StrCat(integers->size(), " integers");
  return "an integer";
}

template <typename Named>
std::string Names(absl::Span<const Named> all) {
  if (all.empty()) return "nothing";
  return absl::StrJoin(all, ", ", [](std::string* out, const Named& named) {
    absl::StrAppend(out, "\"", named.name, "\"");
  });
}

template <typename Named>
const Named* Find(absl::Span<const Named> all, absl::string_view name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Named& named) { return named.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

void State::Add(absl::string_view name, Value value) {
  RM_CHECK(!name.empty() && Find(entries(), name) == nullptr);
  entries_.push_back({std::string(name), std::move(value)});
}

void State::AddFloats(absl::string_view name, absl::Span<const float> values) {
  Add(name, std::vector<float>(values.begin(), values.end()));
}

void State::AddIntegers(absl::string_view name, absl::Span<const int64_t> values) {
  Add(name, std::vector<int64_t>(values.begin(), values.end()));
}

void State::AddInteger(absl::string_view name, int64_t value) { Add(name, value); }

void State::AddPart(absl::string_view name, State part) {
  for (Entry& entry : part.entries_)
    Add(absl::StrCat(name, "/", entry.name), std::move(entry.value));
}

State State::TakePart(absl::string_view name) {
  const std::string prefix = absl::StrCat(name, "/");
  const auto part_begin = std::stable_partition(
      entries_.begin(), entries_.end(),
      [&](const Entry& entry) { return !absl::StartsWith(entry.name, prefix); });
  State part;
  for (auto entry = part_begin; entry != entries_.end(); ++entry) {
    part.Add(entry->name.substr(prefix.size()), std::move(entry->value));
  }
  entries_.erase(part_begin, entries_.end());
  return part;
}

absl::Status State::CopyTo(absl::Span<const StateSlot> slots) const {
  for (const StateSlot& slot : slots) {
    const Entry* const entry = Find(entries(), slot.name);
    if (entry == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "state without \"", slot.name, "\", which is expected; it has ", Names(entries())));
    }
    if (Described(entry->value) != Described(slot.to)) {
      return absl::InvalidArgumentError(absl::StrCat("state \"", slot.name, "\": it is ",
                                                     Described(entry->value), ", expected ",
                                                     Described(slot.to)));
    }
  }
  for (const Entry& entry : entries_) {
    if (Find(slots, entry.name) != nullptr) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "state with \"", entry.name, "\", which nobody takes; expected ", Names(slots)));
  }
  for (const StateSlot& slot : slots) {
    const auto& value = Find(entries(), slot.name)->value;
    if (const auto* floats = std::get_if<absl::Span<float>>(&slot.to)) {
      const auto& values = std::get<std::vector<float>>(value);
      std::copy(values.begin(), values.end(), floats->begin());
    } else if (const auto* integers = std::get_if<absl::Span<int64_t>>(&slot.to)) {
      const auto& values = std::get<std::vector<int64_t>>(value);
      std::copy(values.begin(), values.end(), integers->begin());
    } else {
      *std::get<int64_t*>(slot.to) = std::get<int64_t>(value);
    }
  }
  return absl::OkStatus();
}

int64_t State::bytes() const {
  int64_t bytes = 0;
  for (const Entry& entry : entries_) {
    if (const auto* const floats = std::get_if<std::vector<float>>(&entry.value)) {
      bytes += static_cast<int64_t>(floats->size() * sizeof(float));
    } else if (const auto* const integers = std::get_if<std::vector<int64_t>>(&entry.value)) {
      bytes += static_cast<int64_t>(integers->size() * sizeof(int64_t));
    } else {
      bytes += sizeof(int64_t);
    }
  }
  return bytes;
}

}  // namespace ringmaster
