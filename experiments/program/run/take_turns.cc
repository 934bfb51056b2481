#include "experiments/program/run/take_turns.h"

#include <algorithm>

namespace ringmaster {
namespace {

// Whoever waits for the end of a turn whose time is over is called at least so often.
constexpr absl::Duration kLookPeriod = absl::Seconds(1);

// Returns where the turn from step `begin` on has ended.
int64_t GiveTurn(const TurnRules& rules, int64_t begin, TurnArm* arm,
                 const std::function<MonotonicTime()>& now) {
  const MonotonicTime deadline = now() + rules.duration;
  int64_t end = std::min(begin + rules.steps_max, arm->steps());
  const int64_t untimed = arm->steps() < rules.steps_min ? 0 : rules.untimed;
  arm->Grant(std::min(begin + untimed, end), end);
  while (now() < deadline) {
    if (arm->AwaitEnd(end, deadline - now())) return end;
  }
  end = arm->Cut(begin + rules.steps_min);
  while (!arm->AwaitEnd(end, kLookPeriod)) {
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
      next[i] = GiveTurn(rules, next[i], arms[i], watch.now);
      turn.set_end_step(next[i]);
      turn.set_begin_seconds(absl::ToDoubleSeconds(begin - first));
      turn.set_seconds(absl::ToDoubleSeconds(watch.now() - begin));
      (*taken)[i].conditions.Add(before, watch.machine());
    }
  }
}

}  // namespace ringmaster
