#ifndef RINGMASTER_SERVER_CLOCK_TABLE_H_
#define RINGMASTER_SERVER_CLOCK_TABLE_H_

#include <cstdint>
#include <vector>

namespace ringmaster {

// How far every worker is on one shard. A worker's clock ticks when all its parts of a step are applied.
class ClockTable {
 public:
  ClockTable(int32_t workers, int32_t parts);

  // One part of `worker`'s current step has been applied; true when the worker's clock ticked by it.
  bool PartApplied(int32_t worker);

  int64_t clock(int32_t worker) const { return clocks_[worker]; }
  // The slowest worker's clock: all updates of clocks < slowest() are in the weights.
  int64_t slowest() const;

 private:
  const int32_t parts_;
  std::vector<int64_t> clocks_;         // finished steps
  std::vector<int64_t> applied_parts_;  // ever, per worker: workers may run ahead on some parts
};

}  // namespace ringmaster

#endif  // RINGMASTER_SERVER_CLOCK_TABLE_H_
