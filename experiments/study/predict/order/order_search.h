#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_ORDER_SEARCH_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_ORDER_SEARCH_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "experiments/study/predict/order/schedule_symmetry.h"

namespace ringmaster {

// What an order of ranks costs. Of two with one step, the one with less of messages is better:
// where a step waits for the slowest link alone, that says which way is down.
struct OrderCost {
  double step = 0;      // seconds
  double messages = 0;  // seconds of all messages, each as if it were alone
};

// Up to so many ranks all orders are looked at.
inline constexpr int32_t kExactRanks = 8;

struct OrderSearch {
  // Ranks by place; where a search that does not look at all orders begins.
  std::vector<int32_t> start;
  ScheduleSymmetry symmetry;
  // An order may cost what it costs backwards: it is looked whether it does.
  bool may_mirror = false;
  // Of a permutation of `start`: what OrderCost has of it. Errors end the search. Pure. The second
  // is cheap, and is asked more often.
  std::function<absl::StatusOr<double>(const std::vector<int32_t>& order)> step;
  std::function<absl::StatusOr<double>(const std::vector<int32_t>& order)> messages;
  // Told now and then how many orders were looked at, and of how many; 0: nobody knows. Absent:
  // nobody asks.
  std::function<void(int64_t looked_at, int64_t of)> tell;
};

struct FoundOrder {
  std::vector<int32_t> order;  // ranks by place
  OrderCost cost;
  OrderCost start_cost;
  int64_t looked_at = 0;
  bool is_best = false;  // all orders were looked at, but for those that cost what others do
};

// The order with the least cost. Of up to kExactRanks ranks it is the best of all, and of orders
// that cost the same the first in lexicographic order. Of more it is the end of a walk: as long as
// it helps, a run of places is turned round (2-opt), a short one is moved, or two ranks change
// places. The walk by steps begins at `start`, or where walks by messages alone, from `start` and
// from some orders drawn with a fixed seed, have come to, whichever is better. One thread.
absl::StatusOr<FoundOrder> FindOrder(const OrderSearch& search);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_ORDER_SEARCH_H_
