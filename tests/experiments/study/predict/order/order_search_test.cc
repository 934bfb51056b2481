// The search for the best order of ranks, held against cost models of the test's own.
#include "experiments/study/predict/order/order_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/collective/choice.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;

using Order = std::vector<int32_t>;

Order ByRank(int32_t ranks) {
  Order order(ranks);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

ScheduleSymmetry Of(const std::string& name, int32_t ranks) {
  return SymmetryOf(**CreateSchedule(name), ranks);
}

TEST(ScheduleSymmetry, OfTheRingIsThatAllMayStandFurtherOn) {
  for (int32_t ranks = 3; ranks <= 7; ++ranks) {
    const ScheduleSymmetry ring = Of("ring", ranks);
    EXPECT_TRUE(ring.rotates);
    EXPECT_EQ(ring.classes, ByRank(ranks)) << "its neighbours may not change places";
  }
  EXPECT_EQ(Of("ring", 5).orders(), 24);
  EXPECT_TRUE(Of("ring", 2).is_full());
}

TEST(ScheduleSymmetry, OfOthersIsWhatTheirMessagesSay) {
  EXPECT_TRUE(Of("direct", 5).is_full());
  EXPECT_EQ(Of("direct", 5).orders(), 1);
  // Who has the root is all that there is to choose.
  EXPECT_THAT(Of("reduce_broadcast", 4).classes, ElementsAre(0, 1, 1, 1));
  EXPECT_FALSE(Of("reduce_broadcast", 4).rotates);
  EXPECT_EQ(Of("reduce_broadcast", 4).orders(), 4);
  EXPECT_FALSE(Of("binomial_tree", 4).any_is_first);
  EXPECT_FALSE(Of("halving_doubling", 4).is_full());
}

TEST(ScheduleSymmetry, OfGroupsAndOfPartnersIsThatAnyPlaceMayBeTheFirst) {
  for (const auto& [name, ranks] : {std::pair("hierarchical", 6),
                                    {"hierarchical", 8},
                                    {"halving_doubling", 8},
                                    {"recursive_doubling", 8}}) {
    const ScheduleSymmetry symmetry = Of(name, ranks);
    EXPECT_TRUE(symmetry.any_is_first) << name;
    EXPECT_FALSE(symmetry.rotates) << name;
    EXPECT_EQ(Both(symmetry, Of("ring", ranks)).any_is_first, false) << name;
    EXPECT_TRUE(Both(symmetry, Of("direct", ranks)).any_is_first) << name;
  }
  EXPECT_EQ(Of("hierarchical", 8).orders(), 5040);
  EXPECT_FALSE(Of("halving_doubling", 6).any_is_first);
}

TEST(ScheduleSymmetry, OfTwoIsWhatBothHave) {
  const ScheduleSymmetry both = Both(Of("ring", 5), Of("direct", 5));
  EXPECT_TRUE(both.rotates);
  EXPECT_EQ(both.orders(), 24);
  EXPECT_EQ(Both(Of("ring", 4), Of("reduce_broadcast", 4)).orders(), 24);
}

TEST(ScheduleSymmetry, ChoosesOneOfEachOrdersThatAreAlike) {
  for (const CollectiveInfo& info : Collectives()) {
    const ScheduleSymmetry symmetry = Of(info.name, 6);
    Order order = ByRank(6);
    int64_t chosen = 0;
    do {
      if (symmetry.IsChosen(order)) ++chosen;
    } while (std::next_permutation(order.begin(), order.end()));
    EXPECT_EQ(chosen, symmetry.orders()) << info.name;
  }
}

// A message from each place to the next takes what lies between the two.
class TinyRing {
 public:
  // `alike`: both ways.
  TinyRing(int32_t ranks, uint64_t seed, bool alike) : ranks_(ranks), times_(ranks * ranks) {
    Random random(seed);
    for (int32_t from = 0; from < ranks; ++from) {
      for (int32_t to = 0; to < ranks; ++to) {
        double& time = times_[from * ranks + to];
        time = alike && to < from ? times_[to * ranks + from]
                                  : 1 + static_cast<double>(random.Below(20));
      }
    }
  }

  // Around it for as often as a round waits for the slowest.
  OrderCost Of(const Order& order) const {
    OrderCost cost;
    for (size_t place = 0; place < order.size(); ++place) {
      const double time = times_[order[place] * ranks_ + order[(place + 1) % order.size()]];
      cost.step = std::max(cost.step, time);
      cost.messages += time;
    }
    return cost;
  }

 private:
  const int32_t ranks_;
  std::vector<double> times_;
};

template <typename Model>
FoundOrder Find(const Model& model, int32_t ranks, bool may_mirror,
                const ScheduleSymmetry& symmetry) {
  OrderSearch search;
  search.start = ByRank(ranks);
  search.symmetry = symmetry;
  search.may_mirror = may_mirror;
  search.step = [&model](const Order& order) { return model.Of(order).step; };
  search.messages = [&model](const Order& order) { return model.Of(order).messages; };
  const absl::StatusOr<FoundOrder> found = FindOrder(search);
  EXPECT_TRUE(found.ok()) << found.status();
  return *found;
}

TEST(FindOrder, OfFewRanksIsTheBestOfAllOrders) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const auto ranks = static_cast<int32_t>(3 + seed % 5);
    const bool alike = seed % 2 == 0;
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const TinyRing model(ranks, seed, alike);
    Order order = ByRank(ranks);
    OrderCost best = model.Of(order);
    while (std::next_permutation(order.begin(), order.end())) {
      const OrderCost cost = model.Of(order);
      if (cost.step < best.step || (cost.step == best.step && cost.messages < best.messages))
        best = cost;
    }
    const FoundOrder found = Find(model, ranks, /*may_mirror=*/true, Of("ring", ranks));
    EXPECT_TRUE(found.is_best);
    EXPECT_EQ(found.cost.step, best.step);
    EXPECT_EQ(found.cost.messages, best.messages);
    EXPECT_EQ(model.Of(found.order).messages, best.messages);
    EXPECT_EQ(found.start_cost.messages, model.Of(ByRank(ranks)).messages);
    const int64_t rings = Of("ring", ranks).orders();
    EXPECT_EQ(found.looked_at, alike && ranks > 3 ? rings / 2 : rings);
  }
}

TEST(FindOrder, LooksAtBothDirectionsWhereTheyDiffer) {
  // Messages to lower ranks are slow, but for that which closes the ring.
  struct OneWay {
    OrderCost Of(const Order& order) const {
      OrderCost cost;
      for (size_t place = 0; place < order.size(); ++place) {
        const int32_t from = order[place], to = order[(place + 1) % order.size()];
        if (to < from) cost.step += 1;
      }
      cost.messages = cost.step;
      return cost;
    }
  };
  OrderSearch search;
  search.start = {4, 3, 2, 1, 0};
  search.symmetry = Of("ring", 5);
  search.may_mirror = true;
  search.step = [](const Order& order) { return OneWay().Of(order).step; };
  search.messages = search.step;
  const FoundOrder found = *FindOrder(search);
  EXPECT_THAT(found.order, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(found.start_cost.step, 4);
  EXPECT_EQ(found.looked_at, 24);
}

TEST(FindOrder, OfOrdersThatAreAllAlikeIsTheFirstOne) {
  const FoundOrder found = Find(TinyRing(6, 1, true), 6, true, FullSymmetry(6));
  EXPECT_TRUE(found.is_best);
  EXPECT_EQ(found.looked_at, 1);
  EXPECT_EQ(found.order, ByRank(6));
}

TEST(FindOrder, OfManyRanksFindsARingThatWasHidden) {
  constexpr int32_t kRanks = 12;
  // Only neighbours on a hidden ring are near each other; elsewhere distances grow along it.
  struct Hidden {
    Order place;  // on the ring, by rank
    OrderCost Of(const Order& order) const {
      OrderCost cost;
      for (size_t i = 0; i < order.size(); ++i) {
        const int32_t apart = std::abs(place[order[i]] - place[order[(i + 1) % order.size()]]);
        const double time = std::min(apart, kRanks - apart);
        cost.step = std::max(cost.step, time);
        cost.messages += time;
      }
      return cost;
    }
  };
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    Hidden hidden{ByRank(kRanks)};
    for (int32_t i = kRanks - 1; i > 0; --i)
      std::swap(hidden.place[i], hidden.place[random.Below(i + 1)]);
    const FoundOrder found = Find(hidden, kRanks, true, Of("ring", kRanks));
    EXPECT_FALSE(found.is_best) << "not all were looked at";
    EXPECT_EQ(found.cost.step, 1);
    EXPECT_EQ(found.cost.messages, kRanks);
    EXPECT_THAT(found.looked_at, Le(2000)) << "most walks are by messages alone";
  }
}

TEST(FindOrder, SaysHowFarItIsAndEndsWithAnError) {
  OrderSearch search;
  search.start = ByRank(5);
  search.symmetry = Of("ring", 5);
  int64_t told = 0;
  search.tell = [&told](int64_t looked_at, int64_t of) {
    told = looked_at;
    EXPECT_THAT(of, Ge(0));
  };
  search.step = [](const Order& order) -> absl::StatusOr<double> {
    if (order[1] == 2) return absl::CancelledError("interrupted");
    return 1;
  };
  search.messages = [](const Order&) { return 1; };
  EXPECT_EQ(FindOrder(search).status(), absl::CancelledError("interrupted"));
  EXPECT_GT(told, 0);
}

}  // namespace
}  // namespace ringmaster
