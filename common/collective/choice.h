#ifndef RINGMASTER_COMMON_COLLECTIVE_CHOICE_H_
#define RINGMASTER_COMMON_COLLECTIVE_CHOICE_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/collective/schedule.h"

namespace ringmaster {

// The schedule that "auto" stands for: the fastest measured for so many ranks and bytes of data. The same on every rank,
// whatever the machine: it is read off a table that is part of the program (choice.cc, with how it was measured).
absl::string_view ChooseCollective(int32_t ranks, int64_t bytes);

// `name`, or what it stands for when it is "auto".
absl::string_view ResolveCollective(absl::string_view name, int32_t ranks, int64_t bytes);

// What a spec may name: all schedules, and "auto". For `list` and validation.
absl::Span<const CollectiveInfo> CollectiveChoices();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_CHOICE_H_
