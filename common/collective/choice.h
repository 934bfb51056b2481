#ifndef RINGMASTER_COMMON_COLLECTIVE_CHOICE_H_
#define RINGMASTER_COMMON_COLLECTIVE_CHOICE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/collective/schedule.h"

namespace ringmaster {

// What decides which schedule is fastest.
struct CollectiveSize {
  // as the spec names it: over "shm" other schedules are fast than over sockets
  absl::string_view transport;
  int32_t ranks = 0;
  int64_t bytes = 0;  // of the data
  // of "hierarchical": ranks of a group; 0: DefaultGroupSize
  int32_t group_size = 0;
};

// The schedule that "auto" stands for: the fastest measured for that size. The same on every rank,
// whatever the machine: it is read off a table that is part of the program (choice.cc, with how it
// was measured). A transport "auto" counts as sockets, since its choice is made later.
absl::string_view ChooseCollective(const CollectiveSize& size);

// `name`, or what it stands for when it is "auto".
absl::string_view ResolveCollective(absl::string_view name, const CollectiveSize& size);

// Whether the schedule of that name takes groups of a size that may be chosen.
bool HasGroups(absl::string_view name);

// The schedule of that name, or that "auto" stands for. InvalidArgument names the known ones, or
// says that groups of that size do not divide the ranks.
absl::StatusOr<std::unique_ptr<Schedule>> CreateSchedule(absl::string_view name,
                                                         const CollectiveSize& size);

// What a spec may name: all schedules, and "auto". For `list` and validation.
absl::Span<const CollectiveInfo> CollectiveChoices();

// Buckets in encoded form that a rank has in flight in an all-reduce, at most: each has buffers of
// its own.
inline constexpr int32_t kEncodedInFlightMax = 4;
// Buckets that are summed in rounds of which a rank begins so many before it goes on with the first
// one's second round: a constant, so that all ranks start their sums in one order.
inline constexpr int32_t kReducedInFlightMax = 4;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_CHOICE_H_
