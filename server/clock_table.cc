#include "server/clock_table.h"

#include <algorithm>

#include "common/base/check.h"

namespace ringmaster {

ClockTable::ClockTable(int32_t workers, int32_t parts) : parts_(parts) {
  RM_CHECK(workers > 0 && parts > 0);
  applied_.assign(static_cast<size_t>(workers) * parts, 0);
  clocks_.assign(workers, 0);
  lacking_.assign(workers, parts);
}

void ClockTable::BeginAt(int64_t clock) {
  RM_CHECK(clock >= 0 && *std::max_element(applied_.begin(), applied_.end()) == 0);
  applied_.assign(applied_.size(), clock);
  clocks_.assign(clocks_.size(), clock);
  slowest_ = clock;
}

bool ClockTable::PartApplied(int32_t worker, int32_t part) {
  RM_CHECK(worker >= 0 && worker < static_cast<int32_t>(clocks_.size()) && part >= 0 && part < parts_);
  const auto row = applied_.begin() + static_cast<int64_t>(worker) * parts_;
  // Only parts that are exactly at the clock hold it back; those ahead do not count twice.
  if (row[part]++ != clocks_[worker]) return false;
  if (--lacking_[worker] > 0) return false;
  const int64_t clock = ++clocks_[worker];
  lacking_[worker] = static_cast<int32_t>(std::count(row, row + parts_, clock));
  slowest_ = *std::min_element(clocks_.begin(), clocks_.end());
  return true;
}

}  // namespace ringmaster
