// A disk that is full, by a real file system of a few hundred KiB: what says so names the path and
// what was being written.

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class FullDisk : public testing::Test {
 protected:
  // From here on this process and what it starts see a file system that nobody else sees.
  static void SetUpTestSuite() {
    const bool own = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    may_mount_ = own && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }
  void SetUp() override {
    if (!may_mount_ || mount("ringmaster", disk_.c_str(), "tmpfs", 0, "size=400k") != 0) {
      GTEST_SKIP() << "no file system can be mounted here, so no disk can be filled";
    }
  }
  void TearDown() override { umount(disk_.c_str()); }
  // Leaves about `free_bytes` of the disk.
  void Fill(int64_t free_bytes) const {
    std::ofstream filler(disk_ + "/filler", std::ios::binary);
    const int64_t space = static_cast<int64_t>(std::filesystem::space(disk_).available);
    filler << std::string(static_cast<size_t>(space - free_bytes), 'x');
  }

  static bool may_mount_;
  const std::string disk_ = NewFolder("disk");
};

bool FullDisk::may_mount_ = false;

TEST_F(FullDisk, UnderTheStoreIsToldWithTheRunThatIsNotKept) {
  const std::string out = disk_ + "/out";
  ASSERT_EQ(
      RunProgram(SmallRun("compare", {"--arms", "single", "--steps", "3", "--out", out})).exit_code,
      0);
  Fill(8192);
  const Finished finished =
      RunProgram(SmallRun("compare", {"--arms", "single", "--steps", "3000", "--out", out}));
  EXPECT_NE(finished.exit_code, 0);
  EXPECT_THAT(finished.err,
              AllOf(HasSubstr("the disk is full"), HasSubstr(out + "/results.sqlite")));
}

TEST_F(FullDisk, UnderTheWeightsIsToldWithTheirPath) {
  Fill(8192);
  const std::string weights = disk_ + "/w.safetensors";
  const Finished finished =
      RunProgram(SmallRun("compare", {"--arms", "single", "--steps", "3", "--out", NewFolder("out"),
                                      "--set", "model.mlp_hidden=100", "--save-weights", weights}));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("the disk is full"), HasSubstr("output.save_weights"),
                                  HasSubstr(weights)));
}

TEST_F(FullDisk, UnderCheckpointsIsSaidOnceAndTheRunEndsWell) {
  Fill(8192);
  const Finished finished = RunProgram(
      SmallRun("compare", {"--arms", "single", "--steps", "600", "--out", NewFolder("out"), "--set",
                           "model.mlp_hidden=100", "--checkpoint-every", "100", "--checkpoints",
                           disk_ + "/checkpoints"}));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  const std::string said = "no checkpoint of worker/0 at step ";
  EXPECT_THAT(finished.err, AllOf(HasSubstr(said + "100"), HasSubstr("the disk is full"),
                                  HasSubstr("training goes on")));
  EXPECT_EQ(finished.err.find(said), finished.err.rfind(said)) << "it is said twice";
}

TEST_F(FullDisk, UnderAReportIsToldWithItsPath) {
  const std::string out = NewFolder("out");
  ASSERT_EQ(RunProgram(SmallRun("compare", {"--arms", "single,solo", "--steps", "3", "--out", out}))
                .exit_code,
            0);
  Fill(0);
  const Finished finished =
      RunProgram({"report", out, "--format", "json", "-o", disk_ + "/r.json"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("the disk is full"), HasSubstr(disk_ + "/r.json")));
}

TEST(FullStream, StandardOutputThatTakesNothingIsAnErrorThatSaysWhy) {
  const std::string err = NewFolder("stream") + "/err";
  for (const char* command : {"list", "list --json", "explain ring", "doctor"}) {
    const int status = std::system(
        absl::StrCat("experiments/ringmaster ", command, " >/dev/full 2>", err).c_str());
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
    std::stringstream said;
    said << std::ifstream(err).rdbuf();
    EXPECT_THAT(said.str(),
                AllOf(HasSubstr("cannot write to standard output"), HasSubstr("the disk is full")))
        << command;
  }
}

}  // namespace
}  // namespace ringmaster
