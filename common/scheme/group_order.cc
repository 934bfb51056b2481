#include "common/scheme/group_order.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/collective/choice.h"
#include "common/collective/hierarchical.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr char kBar = '|';

bool IsList(absl::string_view order) {
  return !order.empty() && order != kOrderByHosts && order != kOrderByRanks;
}

// The numbers of a list, in its order; absent: something in it is none.
std::optional<std::vector<int32_t>> ReadList(absl::string_view order) {
  std::vector<int32_t> ranks;
  for (const absl::string_view word : absl::StrSplit(order, absl::ByAnyChar(",|"))) {
    int32_t& rank = ranks.emplace_back();
    if (!absl::SimpleAtoi(word, &rank)) return std::nullopt;
  }
  return ranks;
}

// What is wrong with a list of ranks; empty: nothing.
std::string WrongWith(absl::string_view order, int32_t workers) {
  const std::optional<std::vector<int32_t>> ranks = ReadList(order);
  if (order.find(kBar) != absl::string_view::npos || !ranks.has_value()) return "this is no list";
  std::vector<int32_t> times(std::max(0, workers));
  for (const int32_t rank : *ranks) {
    if (rank < 0 || rank >= workers) return absl::StrCat("there is no rank ", rank);
    if (++times[rank] > 1) return absl::StrCat("rank ", rank, " is there twice");
  }
  const auto missing = std::find(times.begin(), times.end(), 0);
  return missing == times.end() ? ""
                                : absl::StrCat("rank ", missing - times.begin(), " is missing");
}

std::vector<int32_t> InOrder(int32_t workers) {
  std::vector<int32_t> ranks(workers);
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

}  // namespace

bool TakesGroupOrder(const SchemeTraits& traits) {
  return traits.engine.empty() && !traits.collective.empty();
}

void ResolveGroupOrder(const SchemeTraits& traits, StrategySpec* strategy) {
  if (strategy->group_order().empty() && TakesGroupOrder(traits))
    strategy->set_group_order(std::string(kOrderByHosts));
}

void CheckGroupOrder(const StrategySpec& strategy, const SchemeTraits& traits, Problems* problems) {
  constexpr char kField[] = "strategy.group_order";
  const std::string& order = strategy.group_order();
  if (order.empty() || order == kOrderByHosts) return;
  if (!traits.engine.empty()) {
    problems->AddName(kField, order,
                      absl::StrCat("collective \"", traits.engine,
                                   "\" orders its ranks itself; leave it out, or use a collective "
                                   "of ours, such as \"ring\""));
    return;
  }
  if (!TakesGroupOrder(traits)) {
    problems->AddName(kField, order,
                      "only for workers that sum by a collective, such as all_reduce's; leave it "
                      "out");
    return;
  }
  if (order == kOrderByRanks) return;
  const std::string wrong = WrongWith(order, traits.workers);
  if (wrong.empty()) return;
  problems->AddName(
      kField, order,
      absl::StrCat(wrong, "; expected \"", kOrderByHosts, "\", \"", kOrderByRanks, "\" or each of ",
                   "the ranks 0 to ", traits.workers - 1, " once: \"",
                   absl::StrJoin(InOrder(std::min(traits.workers, 4)), ","),
                   traits.workers > 4 ? ",..." : "", "\""));
}

std::string FormedGroupOrder(absl::string_view order, absl::Span<const int32_t> hosts) {
  const auto workers = static_cast<int32_t>(hosts.size());
  std::vector<int32_t> ranks = RanksByPlace(order, workers);
  if (!IsList(order) && order != kOrderByRanks) {
    std::stable_sort(ranks.begin(), ranks.end(),
                     [&](int32_t a, int32_t b) { return hosts[a] < hosts[b]; });
  }
  std::string text;
  for (int32_t place = 0; place < workers; ++place) {
    const bool is_first = place == 0;
    const bool together = !is_first && hosts[ranks[place - 1]] == hosts[ranks[place]];
    absl::StrAppend(&text, is_first ? "" : together ? "," : "|", ranks[place]);
  }
  return text;
}

std::vector<int32_t> RanksByPlace(absl::string_view order, int32_t workers) {
  if (!IsList(order)) return InOrder(workers);
  std::optional<std::vector<int32_t>> ranks = ReadList(order);
  RM_CHECK(ranks.has_value() && static_cast<int32_t>(ranks->size()) == workers);
  return *std::move(ranks);
}

std::vector<int32_t> RanksByPlace(const RunSpec& resolved, int32_t workers) {
  return RanksByPlace(resolved.strategy().group_order(), workers);
}

int32_t PlaceOfRank(absl::string_view order, int32_t workers, int32_t rank) {
  if (!IsList(order)) return rank;
  const std::vector<int32_t> ranks = RanksByPlace(order, workers);
  const auto found = std::find(ranks.begin(), ranks.end(), rank);
  RM_CHECK(found != ranks.end());
  return static_cast<int32_t>(found - ranks.begin());
}

int32_t GroupSizeFor(absl::string_view collective, absl::string_view order, int32_t workers) {
  if (!HasGroups(collective) || workers < 1) return 0;
  int64_t together = 0;
  for (const absl::string_view host : absl::StrSplit(order, kBar))
    together = std::gcd(together, 1 + std::count(host.begin(), host.end(), ','));
  const bool has_hosts = order.find(kBar) != absl::string_view::npos;
  return has_hosts && together > 1 ? static_cast<int32_t>(together) : DefaultGroupSize(workers);
}

std::string OrderOfThoseLeft(absl::string_view order, absl::Span<const int32_t> left) {
  const std::optional<std::vector<int32_t>> ranks = IsList(order) ? ReadList(order) : std::nullopt;
  if (!ranks.has_value()) return std::string(order);
  std::vector<int32_t> kept;
  for (const int32_t rank : *ranks) {
    const auto found = std::find(left.begin(), left.end(), rank);
    if (found != left.end()) kept.push_back(static_cast<int32_t>(found - left.begin()));
  }
  return absl::StrJoin(kept, ",");
}

}  // namespace ringmaster
