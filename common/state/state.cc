#include "common/state/state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"

namespace ringmaster {
namespace {

std::string Described(const std::variant<std::vector<float>, int64_t, double>& value) {
  if (const auto* floats = std::get_if<std::vector<float>>(&value)) return absl::StrCat(floats->size(), " floats");
  return std::holds_alternative<int64_t>(value) ? "an integer" : "a real number";
}

std::string Described(const std::variant<absl::Span<float>, int64_t*, double*>& to) {
  if (const auto* floats = std::get_if<absl::Span<float>>(&to)) return absl::StrCat(floats->size(), " floats");
  return std::holds_alternative<int64_t*>(to) ? "an integer" : "a real number";
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
  const auto found = std::find_if(all.begin(), all.end(), [&](const Named& named) { return named.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

void State::Add(absl::string_view name, std::variant<std::vector<float>, int64_t, double> value) {
  RM_CHECK(!name.empty() && Find(entries(), name) == nullptr);
  entries_.push_back({std::string(name), std::move(value)});
}

void State::AddFloats(absl::string_view name, absl::Span<const float> values) {
  Add(name, std::vector<float>(values.begin(), values.end()));
}

void State::AddInteger(absl::string_view name, int64_t value) { Add(name, value); }

void State::AddReal(absl::string_view name, double value) { Add(name, value); }

absl::Status State::CopyTo(absl::Span<const StateSlot> slots) const {
  for (const StateSlot& slot : slots) {
    const Entry* const entry = Find(entries(), slot.name);
    if (entry == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("state without \"", slot.name, "\", which is expected; it has ", Names(entries())));
    }
    if (Described(entry->value) != Described(slot.to)) {
      return absl::InvalidArgumentError(absl::StrCat("state \"", slot.name, "\": it is ", Described(entry->value),
                                                     ", expected ", Described(slot.to)));
    }
  }
  for (const Entry& entry : entries_) {
    if (Find(slots, entry.name) != nullptr) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("state with \"", entry.name, "\", which nobody takes; expected ", Names(slots)));
  }
  for (const StateSlot& slot : slots) {
    const auto& value = Find(entries(), slot.name)->value;
    if (const auto* floats = std::get_if<absl::Span<float>>(&slot.to)) {
      const auto& values = std::get<std::vector<float>>(value);
      std::copy(values.begin(), values.end(), floats->begin());
    } else if (const auto* integer = std::get_if<int64_t*>(&slot.to)) {
      **integer = std::get<int64_t>(value);
    } else {
      *std::get<double*>(slot.to) = std::get<double>(value);
    }
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
