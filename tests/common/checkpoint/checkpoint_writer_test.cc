#include "common/checkpoint/checkpoint_writer.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include "common/checkpoint/checkpoint_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

State StateOf(float value) {
  State state;
  state.AddFloats("weights", std::vector<float>(1000, value));
  return state;
}

CheckpointPlace PlaceIn(const std::string& folder) {
  CheckpointPlace place;
  place.folder = folder;
  place.run = "told";
  place.writer = 6;
  place.nodes = {"worker/0", "server/0"};
  place.own_nodes = 2;
  place.kept = 2;
  place.prunes = true;
  return place;
}

TEST(CheckpointWriter, KeepsTheLastOnesWhole) {
  const std::string folder = NewFolder("written");
  CheckpointWriter writer(PlaceIn(folder));
  for (const int64_t step : {100, 200, 300, 400}) {
    for (const char* node : {"worker/0", "server/0"})
      writer.Keep(node, step, StateOf(static_cast<float>(step)), "report");
  }
  const CheckpointWriter::Outcome outcome = writer.Finish();
  EXPECT_EQ(outcome.written, 8);
  EXPECT_EQ(outcome.failed, 0);
  EXPECT_THAT(outcome.first_failure, IsEmpty());
  EXPECT_THAT(CheckpointSteps(folder), ElementsAre(400, 300));
  EXPECT_EQ(FindNewestCheckpoint(folder, {"told", {"worker/0", "server/0"}, {}}).step, 400);
  const auto read = ReadCheckpoint(CheckpointFile(folder, 400, "server/0"));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(std::get<std::vector<float>>(read->state.entries()[0].value)[999], 400.0f);
  EXPECT_EQ(read->report, "report");
}

TEST(CheckpointWriter, WritesAllThatItWasGivenBeforeItEnds) {
  const std::string folder = NewFolder("ended");
  {
    CheckpointWriter writer(PlaceIn(folder));
    writer.Keep("worker/0", 100, StateOf(1), "");
    writer.Keep("server/0", 100, StateOf(2), "");
  }
  EXPECT_EQ(FindNewestCheckpoint(folder, {"told", {"worker/0", "server/0"}, {}}).step, 100);
}

TEST(CheckpointWriter, AfterAFailureTheLastGoodOneStaysAndWritingGoesOn) {
  const std::string folder = NewFolder("failing");
  CheckpointWriter writer(PlaceIn(folder));
  const auto keep = [&writer](int64_t step) {
    writer.Keep("worker/0", step, StateOf(1), "");
    writer.Keep("server/0", step, StateOf(1), "");
  };
  keep(100);
  ASSERT_EQ(writer.Finish().failed, 0);
  // A file where a folder must be: whoever runs the test, this cannot be written.
  std::ofstream(CheckpointStepFolder(folder, 200)) << "in the way";
  keep(200);
  const CheckpointWriter::Outcome outcome = writer.Finish();
  EXPECT_EQ(outcome.written, 2);
  EXPECT_EQ(outcome.failed, 2);
  EXPECT_THAT(outcome.first_failure, HasSubstr(CheckpointStepFolder(folder, 200)));
  EXPECT_EQ(FindNewestCheckpoint(folder, {"told", {"worker/0", "server/0"}, {}}).step, 100);
  keep(300);
  EXPECT_EQ(writer.Finish().written, 4);
  EXPECT_EQ(FindNewestCheckpoint(folder, {"told", {"worker/0", "server/0"}, {}}).step, 300);
}

}  // namespace
}  // namespace ringmaster
