#ifndef RINGMASTER_SERVER_CLOCK_TABLE_H_
#define RINGMASTER_SERVER_CLOCK_TABLE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace ringmaster {

// How far every worker is on one shard. A worker's clock ticks when all its parts of a step are
// applied; parts of a step come in any order, and those of the next step may come before the last
// of this one. Not thread-safe.
class ClockTable {
 public:
  // All clocks start at 0. workers, parts: at least 1.
  ClockTable(int32_t workers, int32_t parts);
  // Goes on where another stood. `applied`: as its applied(), [workers * parts], each 0 or more.
  ClockTable(int32_t workers, int32_t parts, absl::Span<const int64_t> applied);

  // `part` of the step after those of that part already applied was applied for `worker`. Returns
  // true when the worker's clock ticked by it (by one: the steps of one part are applied one after
  // another).
  bool PartApplied(int32_t worker, int32_t part);

  // Nobody waits for `worker` any more: its clock is none of those that slowest() is the least of.
  // REQUIRES: another worker is left.
  void Lose(int32_t worker);

  bool is_lost(int32_t worker) const { return lost_[worker]; }

  // Steps of `worker` of which every part is applied.
  int64_t clock(int32_t worker) const { return clocks_[worker]; }
  // Steps of `worker` of which `part` is applied: the step it must bring next.
  int64_t applied(int32_t worker, int32_t part) const { return applied_[worker * parts_ + part]; }
  // The slowest worker's clock, of those that are not lost: all their updates of clocks < slowest()
  // are in the weights.
  int64_t slowest() const { return slowest_; }
  // Of all workers and parts, [workers][parts].
  absl::Span<const int64_t> applied() const { return applied_; }

 private:
  void FindSlowest();

  int32_t parts_;
  std::vector<int64_t> applied_;  // [workers][parts]
  std::vector<int64_t> clocks_;   // [workers], the least of the worker's row
  std::vector<int32_t> lacking_;  // [workers], parts of the row that are at the worker's clock
  std::vector<bool> lost_;        // [workers]
  int64_t slowest_ = 0;           // the least of clocks_ of those that are not
};

}  // namespace ringmaster

#endif  // RINGMASTER_SERVER_CLOCK_TABLE_H_
