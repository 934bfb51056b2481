#include "experiments/program/run/take_turns.h"

#include <algorithm>

namespace ringmaster {
namespace {

// Whoever waits for the end of a turn whose time is over is called at least so often.
constexpr absl::Duration kLookPeriod = absl::Seconds(1);

// Returns where the turn from step `begin` on has ended. Adds its timed steps to `pace`.
int64_t GiveTurn(const TurnRules& rules, int64_t begin, TurnArm* arm,
                 const std::function<MonotonicTime()>& now, Pace* pace) {
  const MonotonicTime deadline = now() + rules.duration;
  int64_t end = std::min(begin + rules.steps_max, arm->steps());
  const int64_t untimed = arm->steps() < rules.steps_min ? 0 : rules.untimed;
  const int64_t timed_from = std::min(begin + untimed, end);
  arm->Grant(timed_from, end);
  bool is_over = false;
  while (!is_over && now() < deadline) is_over = arm->AwaitEnd(end, deadline - now());
  if (!is_over) end = arm->Cut(begin + rules.steps_min);
  while (!is_over) is_over = arm->AwaitEnd(end, kLookPeriod);
  if (const double seconds = arm->TimedSeconds(); seconds > 0) {
    pace->steps += end - timed_from;
    pace->seconds += seconds;
  }
  return end;
}

}  // namespace

void TakeTurns(const TurnRules& rules, absl::Span<TurnArm* const> arms, const TurnWatch& watch,
               std::vector<TakenTurns>* taken) {
  taken->assign(arms.size(), {});
  for (size_t i = 0; i < arms.size(); ++i) {
    watch.on_turn(i);
    const MachineReading before = watch.machine();
    arms[i]->Start();
    (*taken)[i].conditions.Add(before, watch.machine());
  }
  const MonotonicTime first = watch.now();
  std::vector<int64_t> next;
  for (const TurnArm* arm : arms) next.push_back(arm->first_step());
  for (bool any = true; any;) {
    any = false;
    for (size_t i = 0; i < arms.size(); ++i) {
      if (arms[i]->ended()) continue;
      any = true;
      watch.on_turn(i);
      const MachineReading before = watch.machine();
      const MonotonicTime begin = watch.now();
      ArmTurn& turn = (*taken)[i].turns.emplace_back();
      turn.set_begin_step(next[i]);
      next[i] = GiveTurn(rules, next[i], arms[i], watch.now, &(*taken)[i].pace);
      turn.set_end_step(next[i]);
      turn.set_begin_seconds(absl::ToDoubleSeconds(begin - first));
      turn.set_seconds(absl::ToDoubleSeconds(watch.now() - begin));
      (*taken)[i].conditions.Add(before, watch.machine());
    }
    if (any) watch.on_round();
  }
}

}  // namespace ringmaster
