#include "tests/support/patience.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(Patience, IsTheSameMultipleOfEveryWait) {
  EXPECT_EQ(Patience(30), absl::Seconds(30 * kPatienceFactor));
  EXPECT_GE(Patience(1), absl::Seconds(10)) << "less than a machine under load 10 needs";
}

TEST(Patience, IsTheSameInScripts) {
  std::ifstream file("tests/support/patience.py");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_NE(text.find(absl::StrCat("FACTOR = ", kPatienceFactor, " ")), std::string::npos) << text;
}

TEST(Slowness, GrowsWithThoseThatComputeBesideAndIsNeverBelowOne) {
  EXPECT_GE(SlownessNow(), 1);
  // Five times as many as cores, and this one: each has a sixth of its core or less.
  std::vector<pid_t> children(5 * sysconf(_SC_NPROCESSORS_ONLN));
  for (pid_t& child : children) {
    child = fork();
    if (child != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
    }
  }
  // A sample may come before they have begun: the slowest of some.
  double slowness = 0;
  for (int sample = 0; sample < 10 && slowness <= 2; ++sample)
    slowness = std::max(slowness, SlownessNow());
  for (const pid_t child : children) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  EXPECT_GT(slowness, 2);
}

TEST(Slowness, StretchesAPromise) { EXPECT_GE(AtThisLoad(absl::Seconds(2)), absl::Seconds(2)); }

}  // namespace
}  // namespace ringmaster
