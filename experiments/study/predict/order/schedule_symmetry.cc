#include "experiments/study/predict/order/schedule_symmetry.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

namespace ringmaster {
namespace {

// A message of a rank's, or its receipt: round, kind, peer, and one chunk of it.
using Part = std::tuple<int32_t, Step::Op, int32_t, int32_t>;
using PartsOfRanks = std::vector<std::set<Part>>;

PartsOfRanks PartsOf(const Schedule& schedule, int32_t ranks) {
  PartsOfRanks parts(ranks);
  for (int32_t rank = 0; rank < ranks; ++rank) {
    for (const Step& step : schedule.StepsOf(rank, ranks)) {
      for (int32_t chunk = 0; chunk < step.chunk_count; ++chunk)
        parts[rank].insert({step.round, step.op, step.peer, step.chunk_begin + chunk});
    }
  }
  return parts;
}

// Other names of ranks, and of chunks.
struct Renaming {
  std::vector<int32_t> ranks;
  std::vector<int32_t> chunks;
};

// Whether it is the same schedule under these names.
bool IsSame(const PartsOfRanks& parts, const Renaming& renaming) {
  const std::vector<int32_t>& moved = renaming.ranks;
  for (size_t rank = 0; rank < parts.size(); ++rank) {
    std::set<Part> renamed;
    for (const auto& [round, op, peer, chunk] : parts[rank])
      renamed.insert({round, op, moved[peer], renaming.chunks[chunk]});
    if (renamed != parts[moved[rank]]) return false;
  }
  return true;
}

// Each place of a group of `size` is called the next one.
Renaming NextInGroups(int32_t ranks, int32_t size) {
  Renaming names;
  const int32_t groups = ranks / size;
  for (int32_t i = 0; i < ranks; ++i) {
    names.ranks.push_back(i / size * size + (i + 1) % size);
    // Chunks lie in blocks, one for each place.
    names.chunks.push_back((i + groups) % ranks);
  }
  return names;
}

// Each group is called the next one.
Renaming NextGroup(int32_t ranks, int32_t size) {
  Renaming names;
  const int32_t groups = ranks / size;
  for (int32_t i = 0; i < ranks; ++i) {
    names.ranks.push_back((i + size) % ranks);
    names.chunks.push_back(i / groups * groups + (i + 1) % groups);
  }
  return names;
}

// Partners that are `distance`, a power of two, apart have each other's names.
Renaming Partners(int32_t ranks, int32_t distance) {
  Renaming names;
  for (int32_t i = 0; i < ranks; ++i) names.ranks.push_back(i ^ distance);
  names.chunks = names.ranks;
  return names;
}

// Whether every place can be brought to every other, in one of the ways in which schedules are
// made.
bool AreAllAlike(const PartsOfRanks& parts) {
  const auto ranks = static_cast<int32_t>(parts.size());
  for (int32_t size = 1; size <= ranks; ++size) {
    if (ranks % size == 0 && IsSame(parts, NextInGroups(ranks, size)) &&
        IsSame(parts, NextGroup(ranks, size))) {
      return true;
    }
  }
  if ((ranks & (ranks - 1)) != 0) return false;
  for (int32_t distance = 1; distance < ranks; distance *= 2)
    if (!IsSame(parts, Partners(ranks, distance))) return false;
  return true;
}

int64_t Factorial(int64_t n) { return n < 2 ? 1 : n * Factorial(n - 1); }

}  // namespace

bool ScheduleSymmetry::is_full() const {
  return std::all_of(classes.begin(), classes.end(),
                     [this](int32_t number) { return number == classes.front(); });
}

int64_t ScheduleSymmetry::orders() const {
  const auto ranks = static_cast<int64_t>(classes.size());
  std::map<int32_t, int64_t> sizes;
  for (const int32_t number : classes) ++sizes[number];
  int64_t alike = 1;
  for (const auto& [number, size] : sizes) alike *= Factorial(size);
  // Where places may be exchanged nothing else is looked at.
  if (alike == 1 && any_is_first) alike = ranks;
  return Factorial(ranks) / alike;
}

bool ScheduleSymmetry::IsChosen(const std::vector<int32_t>& order) const {
  std::map<int32_t, int32_t> last;  // rank, by class
  for (size_t place = 0; place < order.size(); ++place) {
    const auto [found, is_first] = last.emplace(classes[place], order[place]);
    if (!is_first && found->second > order[place]) return false;
    found->second = order[place];
  }
  const bool none_alike = last.size() == order.size();
  return !any_is_first || !none_alike || order.front() == 0;
}

ScheduleSymmetry SymmetryOf(const Schedule& schedule, int32_t ranks) {
  ScheduleSymmetry symmetry;
  symmetry.classes.resize(ranks);
  std::iota(symmetry.classes.begin(), symmetry.classes.end(), 0);
  // Chunks are renamed as ranks are.
  if (schedule.chunks(ranks) != ranks) return symmetry;
  const PartsOfRanks parts = PartsOf(schedule, ranks);
  symmetry.rotates = IsSame(parts, NextInGroups(ranks, ranks));
  symmetry.any_is_first = AreAllAlike(parts);
  for (int32_t b = 1; b < ranks; ++b) {
    for (int32_t a = 0; a < b; ++a) {
      if (symmetry.classes[a] != a) continue;
      std::vector<int32_t> exchanged(ranks);
      std::iota(exchanged.begin(), exchanged.end(), 0);
      std::swap(exchanged[a], exchanged[b]);
      if (!IsSame(parts, {exchanged, exchanged})) continue;
      symmetry.classes[b] = a;
      break;
    }
  }
  return symmetry;
}

ScheduleSymmetry FullSymmetry(int32_t ranks) {
  return {true, true, std::vector<int32_t>(ranks, 0)};
}

ScheduleSymmetry Both(const ScheduleSymmetry& a, const ScheduleSymmetry& b) {
  ScheduleSymmetry both;
  both.rotates = a.rotates && b.rotates;
  // Two may be brought to a place in unlike ways.
  both.any_is_first =
      both.rotates || (a.is_full() && b.any_is_first) || (b.is_full() && a.any_is_first);
  std::map<std::pair<int32_t, int32_t>, int32_t> numbers;
  for (size_t place = 0; place < a.classes.size(); ++place) {
    const auto next = static_cast<int32_t>(numbers.size());
    const std::pair<int32_t, int32_t> pair = {a.classes[place], b.classes[place]};
    both.classes.push_back(numbers.emplace(pair, next).first->second);
  }
  return both;
}

}  // namespace ringmaster
