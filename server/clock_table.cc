#include "server/clock_table.h"

#include <algorithm>
#include <optional>

#include "common/base/check.h"

namespace ringmaster {

ClockTable::ClockTable(int32_t workers, int32_t parts) : parts_(parts) {
  RM_CHECK(workers > 0 && parts > 0);
  applied_.assign(static_cast<size_t>(workers) * parts, 0);
  clocks_.assign(workers, 0);
  lacking_.assign(workers, parts);
  lost_.assign(workers, false);
}

ClockTable::ClockTable(int32_t workers, int32_t parts, absl::Span<const int64_t> applied)
    : ClockTable(workers, parts) {
  RM_CHECK(applied.size() == applied_.size());
  applied_.assign(applied.begin(), applied.end());
  for (int32_t worker = 0; worker < workers; ++worker) {
    const auto row = applied_.begin() + static_cast<int64_t>(worker) * parts;
    clocks_[worker] = *std::min_element(row, row + parts);
    RM_CHECK(clocks_[worker] >= 0);
    lacking_[worker] = static_cast<int32_t>(std::count(row, row + parts, clocks_[worker]));
  }
  slowest_ = *std::min_element(clocks_.begin(), clocks_.end());
}

bool ClockTable::PartApplied(int32_t worker, int32_t part) {
  RM_CHECK(worker >= 0 && worker < static_cast<int32_t>(clocks_.size()) && part >= 0 &&
           part < parts_);
  const auto row = applied_.begin() + static_cast<int64_t>(worker) * parts_;
  // Only parts that are exactly at the clock hold it back; those ahead do not count twice.
  if (row[part]++ != clocks_[worker]) return false;
  if (--lacking_[worker] > 0) return false;
  const int64_t clock = ++clocks_[worker];
  lacking_[worker] = static_cast<int32_t>(std::count(row, row + parts_, clock));
  FindSlowest();
  return true;
}

void ClockTable::Lose(int32_t worker) {
  RM_CHECK(worker >= 0 && worker < static_cast<int32_t>(clocks_.size()) && !lost_[worker]);
  lost_[worker] = true;
  RM_CHECK(std::find(lost_.begin(), lost_.end(), false) != lost_.end());
  FindSlowest();
}

void ClockTable::FindSlowest() {
  std::optional<int64_t> slowest;
  for (size_t worker = 0; worker < clocks_.size(); ++worker) {
    if (!lost_[worker]) slowest = std::min(slowest.value_or(clocks_[worker]), clocks_[worker]);
  }
  slowest_ = *slowest;
}

}  // namespace ringmaster
