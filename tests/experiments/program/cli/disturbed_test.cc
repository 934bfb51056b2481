// Machines that others disturb: real processes.

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Threads that keep every core busy; foreign to the program, which is this process's child.
class BusyLoops {
 public:
  BusyLoops() {
    for (unsigned i = 0; i < 2 * std::max(1u, std::thread::hardware_concurrency()); ++i) {
      threads_.emplace_back([this] {
        while (!over_.load(std::memory_order_relaxed)) {
        }
      });
    }
  }
  ~BusyLoops() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> over_{false};
  std::vector<std::thread> threads_;
};

json Compared(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--json", "--out", NewFolder("out")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Finished finished = RunProgram(SmallRun("compare", arguments));
  EXPECT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  return json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
}

TEST(Disturbed, MachinesMakeEveryTableDoubtful) {
  const BusyLoops load;
  const std::string out = NewFolder("out");
  const Finished table =
      RunProgram(SmallRun("compare", {"--arms", "single,ring", "--steps", "60", "--out", out}));
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.err, HasSubstr("this machine is not quiet: other processes used"));
  EXPECT_THAT(table.out, AllOf(HasSubstr("doubtful: the machine was not quiet during 2 of 2 runs"),
                               HasSubstr("other processes used")));
  const json object = Compared({"--arms", "ring", "--steps", "60"});
  ASSERT_FALSE(object["doubts"].empty());
  EXPECT_THAT(object["doubts"][0].get<std::string>(), HasSubstr("not quiet during 1 of 1 run"));
  const Finished predicted = RunProgram(
      SmallRun("predict", {"--arms", "ring", "--steps", "20", "--no-measure", "--out", out}));
  EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
  EXPECT_THAT(predicted.out, HasSubstr("doubtful: the machine was not quiet while"));
  EXPECT_THAT(predicted.err, HasSubstr("the machine was not quiet while"));
}

TEST(Gate, SaysWhatIsNotQuotable) {
  const std::vector<std::string> run = {"--arms", "single,ring",    "--steps", "200",
                                        "--out",  NewFolder("out"), "--gate"};
  std::vector<std::string> wide = run, narrow = run;
  wide.push_back("1000");
  // No two runs are so equal.
  narrow.push_back("0.01");
  const Finished passed = RunProgram(SmallRun("compare", wide));
  EXPECT_THAT(passed.out, AllOf(HasSubstr("gate passed: a step of single took"),
                                Not(HasSubstr("not quotable"))));
  EXPECT_EQ(passed.exit_code, 0) << passed.out;
  const Finished failed = RunProgram(SmallRun("compare", narrow));
  EXPECT_EQ(failed.exit_code, 3) << failed.out;
  EXPECT_THAT(failed.out, HasSubstr("doubtful: not quotable: a step of single took"));
}

}  // namespace
}  // namespace ringmaster
