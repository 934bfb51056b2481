// Somebody sets the wall clock while a run is under way, again and again: by an hour, by seconds,
// forwards and backwards.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

// The file that the program's moved clock reads.
class ClockOffset {
 public:
  explicit ClockOffset(const std::string& path) : path_(path) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(ftruncate(file, sizeof(int64_t)), 0);
    seconds_ = static_cast<volatile int64_t*>(
        mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    close(file);
  }
  ~ClockOffset() { munmap(const_cast<int64_t*>(seconds_), sizeof(int64_t)); }
  void Set(int64_t seconds) { *seconds_ = seconds; }
  std::vector<std::string> Environment() const {
    return {absl::StrCat("MOVED_CLOCK=", path_), "LD_PRELOAD=tests/support/libmoved_clock.so"};
  }

 private:
  const std::string path_;
  volatile int64_t* seconds_;
};

constexpr double kStepMs = 10;

struct Case {
  const char* arms;
  const char* transport;
};

class MovedClock : public testing::TestWithParam<Case> {};

TEST_P(MovedClock, RunsEndWellAndTheirTimesAreTrue) {
  const std::string folder = NewFolder("clock");
  ClockOffset offset(folder + "/offset");
  const MonotonicTime begin = MonotonicNow();
  Program program(
      SmallRun("compare",
               {"--arms", GetParam().arms, "--transport", GetParam().transport, "--steps", "40",
                "--emulate", absl::StrCat(kStepMs), "--out", folder + "/out", "--set",
                "limits.wait_seconds=10", "--set", "limits.heartbeat_seconds=0.05"}),
      offset.Environment());
  Finished finished;
  const int64_t moves[] = {3600, -3600, 0, 20, -20, 3600};
  for (int i = 0; finished.exit_code == -1 && MonotonicNow() - begin < Patience(60); ++i) {
    offset.Set(moves[i % std::size(moves)]);
    finished = program.Wait(absl::Milliseconds(70));
  }
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const double seconds = absl::ToDoubleSeconds(MonotonicNow() - begin);
  std::ifstream lines(folder + "/out/results.jsonl");
  int records = 0;
  for (std::string line; std::getline(lines, line); ++records) {
    const nlohmann::json record = nlohmann::json::parse(line);
    const double taken = record["conditions"]["seconds"];
    EXPECT_GT(taken, 0.04 * kStepMs) << line;
    EXPECT_LT(taken, seconds) << line;
    EXPECT_GE(record["step_ms_p50"], kStepMs) << line;
    EXPECT_LT(record["step_ms_p50"], 1000 * seconds) << line;
  }
  EXPECT_GT(records, 0);
}

INSTANTIATE_TEST_SUITE_P(Transports, MovedClock,
                         testing::Values(Case{"ring,ps,ssp", "grpc"}, Case{"ring,async", "shm"},
                                         Case{"ps", "tcp"}),
                         [](const testing::TestParamInfo<Case>& test) {
                           return test.param.transport;
                         });

}  // namespace
}  // namespace ringmaster
