#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TAKE_TURNS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TAKE_TURNS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/machine/conditions.h"
#include "experiments/program/run/arm_progress.h"
#include "proto/record.pb.h"

namespace ringmaster {

// An arm as those see it who give it turns.
class TurnArm {
 public:
  virtual ~TurnArm() = default;
  virtual int64_t steps() const = 0;
  // Where it goes on from; 0: it begins anew.
  virtual int64_t first_step() const { return 0; }
  // Starts it. Returns when all its workers are parked before its first step, or it has ended.
  virtual void Start() = 0;
  // Its workers may run the steps below `end`; those below `timed_from` are not timed. REQUIRES:
  // all are parked.
  virtual void Grant(int64_t timed_from, int64_t end) = 0;
  // Ends the turn before the first step that nobody has begun, at least `least`, at most its end;
  // returns the new one.
  virtual int64_t Cut(int64_t least) = 0;
  // Sleeps until all its workers are parked before `end`, or it has ended, at most `limit`. Where
  // `end` is steps(): until it has ended. Says whether that is so.
  virtual bool AwaitEnd(int64_t end, absl::Duration limit) = 0;
  // It has ended, well or not.
  virtual bool ended() const = 0;
  // From when the last worker came to `timed_from` of the last turn until the last one came to its
  // end. REQUIRES: AwaitEnd has said that all did, or it has ended. 0: not all did.
  virtual double TimedSeconds() const = 0;
};

// How long a turn is: until `duration` or `steps_max` steps are over, whichever comes first, but
// not before `steps_min` steps. The end of the arm's steps ends it too. Its first `untimed` steps
// are not timed; of an arm of fewer than `steps_min` steps all are.
struct TurnRules {
  absl::Duration duration = absl::Seconds(5);
  int64_t steps_max = 100;
  int64_t steps_min = 10;
  int64_t untimed = 3;
};

// What TakeTurns asks of what is around it, and tells it.
struct TurnWatch {
  std::function<MonotonicTime()> now;       // the arms' clock
  std::function<MachineReading()> machine;  // as it is at that moment
  std::function<void(size_t arm)> on_turn;  // before an arm is started and before each of its turns
  // After each round, in which every arm that had not ended has had a turn.
  std::function<void()> on_round = [] {};
};

// What became of an arm.
struct TakenTurns {
  std::vector<ArmTurn> turns;
  Pace pace;  // of all its turns
  // What else the machine did while the arm was being started and in its turns, and at no other
  // time.
  ConditionsSum conditions;
};

// Starts the arms one after the other, then gives them turns in their order, again and again,
// until all have ended. Exactly one arm runs at a time; the last turn of an arm has all that it
// does until it ends. The machine is read at both ends of each start and turn, when no arm runs.
//
// `taken` has what became of each arm so far, always. Sleeps in `arms` alone.
void TakeTurns(const TurnRules& rules, absl::Span<TurnArm* const> arms, const TurnWatch& watch,
               std::vector<TakenTurns>* taken);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TAKE_TURNS_H_
