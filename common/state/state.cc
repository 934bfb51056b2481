#include "common/state/state.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
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

// Below this size memory comes from what the process has had before anyway.
constexpr size_t kLargeFloats = 16 << 10;

// Large arrays that no state has any more.
class Spares {
 public:
  void Begin() {
    absl::MutexLock lock(&mutex_);
    ++keepers_;
  }
  void End() {
    absl::MutexLock lock(&mutex_);
    if (--keepers_ == 0) arrays_.clear();
  }
  void Put(std::vector<float> array) {
    absl::MutexLock lock(&mutex_);
    if (keepers_ > 0) arrays_.push_back(std::move(array));
  }
  // One of that many floats, if there is one; else one without any.
  std::vector<float> Take(size_t floats) {
    absl::MutexLock lock(&mutex_);
    for (std::vector<float>& array : arrays_) {
      if (array.size() != floats) continue;
      std::swap(array, arrays_.back());
      std::vector<float> found = std::move(arrays_.back());
      arrays_.pop_back();
      return found;
    }
    return {};
  }

 private:
  absl::Mutex mutex_;
  int keepers_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::vector<float>> arrays_ ABSL_GUARDED_BY(mutex_);
};

Spares& TheSpares() {
  static auto* const kSpares = new Spares;
  return *kSpares;
}

}  // namespace

KeptStateMemory::KeptStateMemory() { TheSpares().Begin(); }
KeptStateMemory::~KeptStateMemory() { TheSpares().End(); }

State::~State() {
  for (Entry& entry : entries_) {
    auto* const floats = std::get_if<std::vector<float>>(&entry.value);
    if (floats != nullptr && floats->size() >= kLargeFloats) TheSpares().Put(std::move(*floats));
  }
}

void State::Add(absl::string_view name, Value value) {
  RM_CHECK(!name.empty() && Find(entries(), name) == nullptr);
  entries_.push_back({std::string(name), std::move(value)});
}

void State::AddFloats(absl::string_view name, absl::Span<const float> values) {
  std::vector<float> copy;
  if (values.size() >= kLargeFloats) copy = TheSpares().Take(values.size());
  copy.assign(values.begin(), values.end());
  Add(name, std::move(copy));
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
