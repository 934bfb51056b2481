#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_SCHEDULE_SYMMETRY_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_SCHEDULE_SYMMETRY_H_

#include <cstdint>
#include <vector>

#include "common/collective/schedule.h"

namespace ringmaster {

// Which orders of ranks are one and the same to a schedule, whatever the network, but for chunks
// that differ by an element.
struct ScheduleSymmetry {
  // Everybody may stand a place further on.
  bool rotates = false;
  // All places are alike: to any of them another may be brought, with all others, so that nothing
  // changes. So somebody may be chosen to be the first. Where it rotates, they are.
  bool any_is_first = false;
  // By place, a number; two places of one number may exchange their ranks.
  std::vector<int32_t> classes;

  // All orders are alike.
  bool is_full() const;
  // How many orders of so many ranks are unlike.
  int64_t orders() const;
  // Whether `order`, ranks by place, stands for those that are like it: exactly one of them does.
  bool IsChosen(const std::vector<int32_t>& order) const;
};

// What the steps of the schedule say. Pure.
ScheduleSymmetry SymmetryOf(const Schedule& schedule, int32_t ranks);

// Of what everybody sends to everybody.
ScheduleSymmetry FullSymmetry(int32_t ranks);

// What both have: less than either, or as much.
ScheduleSymmetry Both(const ScheduleSymmetry& a, const ScheduleSymmetry& b);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_SCHEDULE_SYMMETRY_H_
