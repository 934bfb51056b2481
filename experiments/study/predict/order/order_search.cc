#include "experiments/study/predict/order/order_search.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <utility>

#include "common/base/check.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

// Of two figures that differ by less than so much of themselves neither is better: chunks may
// differ by an element.
constexpr double kAlike = 1e-6;
// Orders of which it is looked whether they cost the same backwards.
constexpr int kMirrored = 5;
// Places that are moved together.
constexpr size_t kMovedPlaces = 3;
// Walks by messages alone begin at the first order and at so many more.
constexpr int kDrawnOrders = 4;
constexpr uint64_t kSeed = 1;

bool IsLess(double a, double b) { return a < b - kAlike * std::abs(b); }

bool IsBetter(const OrderCost& a, const OrderCost& b) {
  if (IsLess(a.step, b.step)) return true;
  return !IsLess(b.step, a.step) && IsLess(a.messages, b.messages);
}

bool AreAlike(const OrderCost& a, const OrderCost& b) { return !IsBetter(a, b) && !IsBetter(b, a); }

using Change = std::function<void(std::vector<int32_t>* order)>;

// Of an order of so many places: all runs turned round, all short ones moved, all pairs exchanged.
std::vector<Change> ChangesOf(size_t places) {
  std::vector<Change> changes;
  for (size_t begin = 0; begin < places; ++begin) {
    for (size_t end = begin + 2; end <= places; ++end) {
      changes.push_back([=](std::vector<int32_t>* order) {
        std::reverse(order->begin() + begin, order->begin() + end);
      });
      // Shorter runs are turned round by that.
      if (end >= begin + 4) {
        changes.push_back(
            [=](std::vector<int32_t>* order) { std::swap((*order)[begin], (*order)[end - 1]); });
      }
      for (size_t length = 1; length <= std::min(kMovedPlaces, end - begin - 1); ++length) {
        for (const size_t middle : {begin + length, end - length}) {
          changes.push_back([=](std::vector<int32_t>* order) {
            std::rotate(order->begin() + begin, order->begin() + middle, order->begin() + end);
          });
        }
      }
    }
  }
  return changes;
}

// An order, and what it costs.
struct Visited {
  std::vector<int32_t> order;
  OrderCost cost;
};

class Search {
 public:
  explicit Search(const OrderSearch& search) : search_(search) {}

  absl::StatusOr<FoundOrder> Run() {
    RM_ASSIGN_OR_RETURN(found_.start_cost, CostOf(search_.start));
    found_.order = search_.start;
    found_.cost = found_.start_cost;
    const auto ranks = static_cast<int32_t>(search_.start.size());
    if (search_.symmetry.is_full()) {
      found_.is_best = true;
    } else if (ranks <= kExactRanks) {
      RM_RETURN_IF_ERROR(LookAtAll());
      found_.is_best = true;
    } else {
      RM_RETURN_IF_ERROR(WalkFromGoodPlaces());
    }
    return found_;
  }

 private:
  absl::StatusOr<OrderCost> CostOf(const std::vector<int32_t>& order) {
    if (search_.tell) search_.tell(found_.looked_at, of_);
    ++found_.looked_at;
    OrderCost cost;
    RM_ASSIGN_OR_RETURN(cost.step, search_.step(order));
    RM_ASSIGN_OR_RETURN(cost.messages, search_.messages(order));
    return cost;
  }

  // Whether some orders cost what they cost backwards, so that all of them may.
  absl::StatusOr<bool> Mirrors() {
    std::vector<int32_t> order = search_.start;
    std::sort(order.begin(), order.end());
    for (int i = 0; i < kMirrored; ++i) {
      // Steps through orders that have little in common.
      for (int skip = 0; skip < 97; ++skip) std::next_permutation(order.begin(), order.end());
      RM_ASSIGN_OR_RETURN(const OrderCost cost, CostOf(order));
      RM_ASSIGN_OR_RETURN(const OrderCost back,
                          CostOf(std::vector<int32_t>(order.rbegin(), order.rend())));
      if (!AreAlike(cost, back)) return false;
    }
    return true;
  }

  absl::Status LookAtAll() {
    // Only where an order's first place says nothing do both directions begin at one rank.
    const bool turns = search_.symmetry.rotates && search_.may_mirror && search_.start.size() > 3;
    bool mirrors = false;
    if (turns) {
      RM_ASSIGN_OR_RETURN(mirrors, Mirrors());
    }
    of_ = search_.symmetry.orders() / (mirrors ? 2 : 1);
    found_.looked_at = 0;
    std::vector<int32_t> order = search_.start;
    std::sort(order.begin(), order.end());
    bool is_first = true;
    do {
      if (!search_.symmetry.IsChosen(order)) continue;
      if (mirrors && order[1] > order.back()) continue;
      RM_ASSIGN_OR_RETURN(const OrderCost cost, CostOf(order));
      if (!is_first && !IsBetter(cost, found_.cost)) continue;
      is_first = false;
      found_.order = order;
      found_.cost = cost;
    } while (std::next_permutation(order.begin(), order.end()));
    return absl::OkStatus();
  }

  // By messages alone, which nobody counts.
  absl::StatusOr<OrderCost> MessagesOf(const std::vector<int32_t>& order) {
    OrderCost cost;
    RM_ASSIGN_OR_RETURN(cost.messages, search_.messages(order));
    return cost;
  }

  using CostFunction = absl::StatusOr<OrderCost> (Search::*)(const std::vector<int32_t>& order);

  // Takes changes of `*at` as long as one is better.
  absl::Status Walk(CostFunction cost_of, Visited* at) {
    for (bool helps = true; helps;) {
      helps = false;
      for (const Change& change : ChangesOf(at->order.size())) {
        std::vector<int32_t> changed = at->order;
        change(&changed);
        RM_ASSIGN_OR_RETURN(const OrderCost cost, (this->*cost_of)(changed));
        if (!IsBetter(cost, at->cost)) continue;
        *at = {std::move(changed), cost};
        helps = true;
      }
    }
    return absl::OkStatus();
  }

  absl::Status WalkFromGoodPlaces() {
    Random random(kSeed);
    Visited best{found_.order, found_.cost};
    std::vector<int32_t> order = search_.start;
    for (int i = 0; i <= kDrawnOrders; ++i) {
      Visited walk{order, {}};
      RM_ASSIGN_OR_RETURN(walk.cost, MessagesOf(walk.order));
      RM_RETURN_IF_ERROR(Walk(&Search::MessagesOf, &walk));
      if (i == 0 || IsLess(walk.cost.messages, best.cost.messages)) best = walk;
      for (size_t last = order.size() - 1; last > 0; --last)
        std::swap(order[last], order[random.Below(last + 1)]);
    }
    Visited at{found_.order, found_.cost};
    RM_ASSIGN_OR_RETURN(best.cost, CostOf(best.order));
    if (IsBetter(best.cost, at.cost)) at = std::move(best);
    RM_RETURN_IF_ERROR(Walk(&Search::CostOf, &at));
    found_.order = std::move(at.order);
    found_.cost = at.cost;
    return absl::OkStatus();
  }

  const OrderSearch& search_;
  FoundOrder found_;
  int64_t of_ = 0;
};

}  // namespace

absl::StatusOr<FoundOrder> FindOrder(const OrderSearch& search) {
  RM_CHECK(!search.start.empty());
  RM_CHECK(search.symmetry.classes.size() == search.start.size());
  return Search(search).Run();
}

}  // namespace ringmaster
