#ifndef RINGMASTER_TESTS_SUPPORT_PATIENCE_H_
#define RINGMASTER_TESTS_SUPPORT_PATIENCE_H_

#include <cstdint>

#include "absl/time/time.h"

namespace ringmaster {

// How much longer than on an idle machine a test waits. Ten busy programs beside a test of a few
// processes leave each of those a sixth to an eighth of a core; a sanitizer alone slows by as much.
inline constexpr int64_t kPatienceFactor = 10;

// The limit of a wait for what must come: `idle_seconds` is what it takes at most where nothing
// else runs. Such a limit is there to end a hang, never to judge speed. All of them come from here;
// only a wait for what must not come, whose end is a success, has a length of its own.
constexpr absl::Duration Patience(int64_t idle_seconds) {
  return absl::Seconds(kPatienceFactor * idle_seconds);
}

// How much longer than on an idle machine a thread takes now: the time that a small piece of
// computing lasted, over the processor time that it took; 1 or more. Takes 20 ms of processor time.
double SlownessNow();

// What a promise of `idle` becomes on the machine as it is now: `idle` times SlownessNow(). For
// tests that judge how soon something happens; call it right after that has happened.
absl::Duration AtThisLoad(absl::Duration idle);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_PATIENCE_H_
