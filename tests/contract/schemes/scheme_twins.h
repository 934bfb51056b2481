#ifndef RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_TWINS_H_
#define RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_TWINS_H_

#include <string>
#include <vector>

#include "worker/loop/worker_setup.h"

namespace ringmaster {

// Strategies that are broken on purpose: the real ones in a world that deceives them, or behind a
// front that does not pass on what it should.

// One arm's twin, and what is wrong with it.
struct SchemeTwin {
  std::string arm;
  std::string what;
  StrategyFactory create;
};

// Twins that any scheme has. Of the payloads that the last worker sends the fourth is doubled: a
// push, a partial sum, or weights.
StrategyFactory DoublesAMessage();
// The last worker updates its own weights twice by the gradients of one step, where it updates any.
StrategyFactory AppliesAStepTwice();

// Those that are wrong in a way of their scheme's own.
std::vector<SchemeTwin> SchemeTwins();

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_TWINS_H_
