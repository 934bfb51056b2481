#ifndef RINGMASTER_COMMON_MACHINE_SHORT_TURNS_H_
#define RINGMASTER_COMMON_MACHINE_SHORT_TURNS_H_

#include "absl/time/time.h"

namespace ringmaster {

// Asks the scheduler to give the calling thread turns of `turn` (0.1 to 100 ms) in place of its
// usual few milliseconds: it gets no more of the processor, but sooner, in place of a thread that
// computes without a pause. For threads that work a little whenever a message comes. Needs no
// privilege; keeps policy and niceness. Returns whether the kernel has taken it; one that knows no
// such turns (before Linux 6.12) may accept it and change nothing.
bool AskForShortTurns(absl::Duration turn);

// Of threads that exchange, workers' and servers' alike.
inline constexpr absl::Duration kExchangeTurn = absl::Microseconds(100);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_SHORT_TURNS_H_
