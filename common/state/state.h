#ifndef RINGMASTER_COMMON_STATE_STATE_H_
#define RINGMASTER_COMMON_STATE_STATE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ringmaster {

// Where State::CopyTo writes one entry; borrows the memory.
struct StateSlot {
  absl::string_view name;
  std::variant<absl::Span<float>, absl::Span<int64_t>, int64_t*> to;
};

// What an object keeps from one step to the next, as named arrays and numbers, so that another
// object of the same kind can go on where it stopped. A value: copies are independent. Not
// synchronized.
class State {
 public:
  using Value = std::variant<std::vector<float>, std::vector<int64_t>, int64_t>;
  struct Entry {
    std::string name;
    Value value;
  };

  State() = default;
  State(const State&) = default;
  State(State&&) noexcept = default;
  State& operator=(const State&) = default;
  State& operator=(State&&) noexcept = default;
  ~State();

  // Add a copy. The name is not empty and not yet there.
  void AddFloats(absl::string_view name, absl::Span<const float> values);
  void AddIntegers(absl::string_view name, absl::Span<const int64_t> values);
  void AddInteger(absl::string_view name, int64_t value);
  // All entries of `part`, what an object inside keeps, as "name/...".
  void AddPart(absl::string_view name, State part);

  // Takes out what AddPart has added under this name; empty where there is nothing.
  State TakePart(absl::string_view name);

  // In the order in which they were added.
  absl::Span<const Entry> entries() const { return entries_; }

  // Of all values, without their names.
  int64_t bytes() const;

  // Writes every entry to its slot. The slots name all entries, in any order, each with its kind
  // and size; otherwise InvalidArgument names the first that differs, with what the state has and
  // what was expected, and nothing is written.
  absl::Status CopyTo(absl::Span<const StateSlot> slots) const;

 private:
  void Add(absl::string_view name, Value value);

  std::vector<Entry> entries_;
};

// While one of these lives in the process, the memory of large arrays of states that are gone is
// kept for those to come. Memory that is new to a process costs its first writer ten times as much:
// of 3.4 MB 2 ms, against 0.2 ms (docs/results/reliability.md). Any thread.
class KeptStateMemory {
 public:
  KeptStateMemory();
  ~KeptStateMemory();
  KeptStateMemory(const KeptStateMemory&) = delete;
  KeptStateMemory& operator=(const KeptStateMemory&) = delete;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_STATE_STATE_H_
