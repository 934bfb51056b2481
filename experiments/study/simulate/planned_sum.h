#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_PLANNED_SUM_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_PLANNED_SUM_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/types/span.h"
#include "common/base/element_type.h"
#include "common/base/partition.h"
#include "common/collective/plan.h"

namespace ringmaster {

// What one rank has after a collective that sums, straight from what all ranks began with. Elements
// are added in the order of the plans, which say who adds what to what; so the bits are those that
// the collective's messages bring, whenever each of them arrives. Immutable after construction.
class PlannedSum {
 public:
  // `plans`: of all ranks, of one collective on data of one size; no gather. `rank`: whose sum.
  PlannedSum(const std::vector<Plan>& plans, int32_t rank);

  // values: by rank, each [data of the plans]. sum: the same size, no memory of the values.
  // Thread-safe.
  void Run(ElementType type, absl::Span<const absl::Span<const std::byte>> values,
           absl::Span<std::byte> sum) const;

 private:
  class Compiler;
  // What is done to a slot: slot 0 is the sum, the others are room for terms that are added later.
  struct Action {
    int32_t slot = 0;
    bool adds = false;  // else it is overwritten
    int32_t rank = 0;   // by what this rank began with; below 0: by the next slot
  };
  struct Slice {
    Range bytes;
    std::vector<Action> actions;  // in order
  };

  const int32_t rank_;
  std::vector<Slice> slices_;  // ascending; none where nobody sends
  int32_t slots_ = 1;
  int64_t slice_bytes_max_ = 0;
};

// Sums of the same plans are planned once. One thread.
class PlannedSums {
 public:
  // At rank 0. `plans` outlives this.
  const PlannedSum& Of(const std::vector<Plan>& plans);

 private:
  std::map<const std::vector<Plan>*, PlannedSum> sums_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_PLANNED_SUM_H_
