#ifndef RINGMASTER_TESTS_CLUSTER_LOSSES_LOSE_ONE_H_
#define RINGMASTER_TESTS_CLUSTER_LOSSES_LOSE_ONE_H_

#include <signal.h>
#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {

struct HowLost {
  int signal = SIGKILL;
  absl::Duration after = absl::ZeroDuration();  // since it was connected to all others
};

// Of a run of four workers, whose steps last 5 ms, worker/2 gets a signal, and the others go on.
// Returns the arm's JSON; null where there is none.
inline nlohmann::json LoseOne(const std::string& arm, const HowLost& how,
                              const std::vector<std::string>& more = {}) {
  const std::string out = NewFolder("out");
  constexpr char kSlow[] =
      "training.slowdowns=[{ranks: [0, 1, 2, 3] random {probability: 1 milliseconds: 5}}]";
  std::vector<std::string> arguments = {"--arms", arm, "--out", out, "--json", "-v"};
  for (const char* argument : {"--workers", "4", "--set", "training.batch_per_worker=12", "--steps",
                               "300", "--on-failure", "reform", "--set", kSlow}) {
    arguments.push_back(argument);
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  Program program(SmallRun("compare", arguments));
  EXPECT_TRUE(program.WaitForError("worker/2: connected to all others", Patience(30)))
      << program.ErrorSoFar();
  const pid_t lost = RankNamed(program.pid(), "worker/2");
  if (testing::Test::HasFailure()) return {};
  if (how.after > absl::ZeroDuration()) WaitUntil(how.after, [] { return false; });
  kill(lost, how.signal);
  const Finished finished = program.Wait(Patience(60));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.err, testing::HasSubstr("lost worker/2"));
  EXPECT_EQ(StateOf(lost), 0) << "it is still there";
  const auto parsed = nlohmann::json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded() || parsed["runs"].size() != 1) return {};
  return parsed["runs"][0];
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_LOSSES_LOSE_ONE_H_
