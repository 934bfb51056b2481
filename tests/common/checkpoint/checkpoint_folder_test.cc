#include "common/checkpoint/checkpoint_folder.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/checkpoint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kRun[] = "seed 11";

class CheckpointFolder : public testing::Test {
 protected:
  void Write(int64_t step, const std::string& node, const std::string& run = kRun,
             uint64_t writer = 1, const std::string& named = "") const {
    std::filesystem::create_directories(CheckpointStepFolder(folder_, step));
    Checkpoint checkpoint;
    checkpoint.header = {run, 7, writer, named.empty() ? node : named, 2, step};
    checkpoint.state.AddFloats("weights", std::vector<float>(100, 1.0f));
    ASSERT_TRUE(WriteCheckpoint(CheckpointFile(folder_, step, node), checkpoint).ok());
  }
  void WriteWhole(int64_t step, const std::string& run = kRun, uint64_t writer = 1) const {
    for (const std::string& node : owner_.nodes) Write(step, node, run, writer);
  }
  NewestCheckpoint Newest() const { return FindNewestCheckpoint(folder_, owner_); }

  const std::string folder_ = NewFolder("checkpoints");
  const CheckpointOwner owner_{
      kRun, {"worker/0", "server/0"}, [](const std::string& run) { return run + " there"; }};
};

TEST_F(CheckpointFolder, WithoutAnyTheRunBeginsAnew) {
  EXPECT_EQ(Newest().step, 0);
  EXPECT_THAT(Newest().refused, IsEmpty());
  EXPECT_EQ(FindNewestCheckpoint(folder_ + "/none", owner_).step, 0);
}

TEST_F(CheckpointFolder, TheNewestThatIsWholeIsTaken) {
  WriteWhole(900);
  WriteWhole(1000);
  EXPECT_EQ(Newest().step, 1000);
  EXPECT_THAT(Newest().refused, IsEmpty());
}

// Each fault in the newest: the one before is used, and the text says what is wrong with it.
TEST_F(CheckpointFolder, OneThatIsRefusedIsNamedAndTheOneBeforeIsTaken) {
  WriteWhole(100);
  const std::string server = CheckpointFile(folder_, 200, "server/0");
  const auto expect_refused = [&](const std::string& why) {
    EXPECT_EQ(Newest().step, 100) << why;
    EXPECT_THAT(Newest().refused, ElementsAre(AllOf(HasSubstr(server), HasSubstr(why))));
  };
  Write(200, "worker/0");
  expect_refused("No such file");
  Write(200, "server/0", "seed 12");
  expect_refused("it is of another run: seed 12 there");
  Write(200, "server/0", kRun, 2);
  expect_refused("it was written by another run than that of worker/0");
  Write(200, "server/0", kRun, 1, "server/1");
  expect_refused("it is of server/1 of 2 nodes at step 200, expected server/0");
  Write(200, "server/0");
  std::filesystem::resize_file(server, 64);
  expect_refused("it was cut off");
  Write(200, "server/0");
  EXPECT_EQ(Newest().step, 200);
  std::filesystem::rename(CheckpointStepFolder(folder_, 200), CheckpointStepFolder(folder_, 300));
  EXPECT_EQ(Newest().step, 100);
  EXPECT_THAT(Newest().refused, ElementsAre(HasSubstr("at step 200, expected worker/0 of 2 "
                                                      "at step 300")));
}

TEST_F(CheckpointFolder, ThoseOlderThanTheNewestWholeOnesGo) {
  for (const int64_t step : {100, 200, 300}) WriteWhole(step);
  Write(400, "worker/0");  // under way
  PruneCheckpoints(folder_, owner_.nodes, 2);
  EXPECT_THAT(CheckpointSteps(folder_), ElementsAre(400, 300, 200));
}

// A process whose disk is full since long must not cost the run what it can go on from.
TEST_F(CheckpointFolder, WhatIsNotWholeCountsForNothingInPruning) {
  WriteWhole(100);
  for (const int64_t step : {200, 300, 400}) Write(step, "worker/0");
  PruneCheckpoints(folder_, owner_.nodes, 1);
  EXPECT_EQ(Newest().step, 100);
}

TEST_F(CheckpointFolder, LaterOnesAreRemovedAndOtherFilesStay) {
  for (const int64_t step : {100, 200, 300}) WriteWhole(step);
  std::ofstream(folder_ + "/notes") << "mine";
  ASSERT_TRUE(RemoveCheckpointsAfter(folder_, 100).ok());
  EXPECT_THAT(CheckpointSteps(folder_), ElementsAre(100));
  ASSERT_TRUE(RemoveCheckpointsAfter(folder_, 0).ok());
  EXPECT_THAT(CheckpointSteps(folder_), IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/notes"));
}

}  // namespace
}  // namespace ringmaster
