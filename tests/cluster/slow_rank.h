#ifndef RINGMASTER_TESTS_CLUSTER_SLOW_RANK_H_
#define RINGMASTER_TESTS_CLUSTER_SLOW_RANK_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/cluster/small_run.h"
#include "tests/support/program.h"

namespace ringmaster {

// How long others wait for a message in these runs. Two seconds are four times what a busy machine
// holds up a heartbeat.
inline constexpr int kWaitSeconds = 2;

// A run of `arm` with three short steps, in the second of which worker/1 computes for so long at
// once.
inline std::vector<std::string> RunWithPause(const std::string& arm, int pause_ms,
                                             const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = SmallRun(
      "compare", {"--arms", arm, "--workers", "2", "--steps", "3", "--emulate", "5", "--out",
                  NewFolder("out"), "--set", absl::StrCat("limits.wait_seconds=", kWaitSeconds),
                  "--set", "limits.heartbeat_seconds=0.2", "--set",
                  absl::StrCat("training.slowdowns=[{ranks: 1 pause {step: 1 milliseconds: ",
                               pause_ms, "}}]")});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_SLOW_RANK_H_
