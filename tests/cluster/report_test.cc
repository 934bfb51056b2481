// `report` and `plot` with what users get wrong, and what they find there.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Every file below a folder with its bytes.
std::map<std::string, std::string> Contents(const std::string& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) contents[entry.path().string()] = ReadFile(entry.path());
  }
  return contents;
}

// A store of two short runs.
std::string Store(const std::string& name) {
  const std::string folder = NewFolder(name);
  const Finished finished =
      RunProgram(SmallRun("compare", {"--arms", "solo,ring", "--steps", "30", "--out", folder}));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  return folder;
}

TEST(Report, WritesEveryFormatAndLeavesTheStoreAsItIs) {
  const std::string store = Store("formats");
  const auto before = Contents(store);
  const std::string page = absl::StrCat(NewFolder("page"), "/report.html");
  const Finished written = RunProgram({"report", store, "-o", page});
  EXPECT_EQ(written.exit_code, 0) << written.err;
  EXPECT_THAT(ReadFile(page), HasSubstr("What these results do not show"));
  const std::map<std::string, std::string> formats = {{"md", "| solo |"},
                                                      {"csv", "\r\n1,N = 2,ring,"},
                                                      {"json", "\"arm\":\"ring\""},
                                                      {"latex", "\\toprule"}};
  for (const auto& [format, part] : formats) {
    const Finished printed = RunProgram({"report", store, "--format", format});
    EXPECT_EQ(printed.exit_code, 0) << printed.err;
    EXPECT_THAT(printed.out, HasSubstr(part)) << format;
  }
  EXPECT_EQ(Contents(store), before);
}

TEST(Report, SaysWhatIsWrongWithAStoreAndLeavesItUntouched) {
  const auto error_of = [](const std::string& store) {
    const Finished finished = RunProgram({"report", store, "-o", NewFolder("wrong") + "/r.html"});
    EXPECT_EQ(finished.exit_code, 2) << finished.err;
    return finished.err;
  };
  const std::string empty = NewFolder("no_store");
  EXPECT_THAT(error_of(empty), HasSubstr("holds neither results.sqlite nor results.jsonl"));
  EXPECT_TRUE(std::filesystem::is_empty(empty));
  EXPECT_THAT(error_of(empty + "/none"), HasSubstr("there is no such folder"));

  const std::string damaged = Store("damaged");
  std::string bytes = ReadFile(damaged + "/results.sqlite");
  bytes.replace(4096, 4096, std::string(4096, 'x'));
  std::ofstream(damaged + "/results.sqlite", std::ios::binary) << bytes;
  const auto before = Contents(damaged);
  EXPECT_THAT(error_of(damaged), HasSubstr("it is left as it is"));
  EXPECT_EQ(Contents(damaged), before);

  const std::string text = NewFolder("text");
  std::ofstream(text + "/results.sqlite") << std::string(5000, 'x');
  EXPECT_THAT(error_of(text), HasSubstr("not a database"));
}

TEST(Report, OfRunsThatAllFailedSaysSoInsteadOfFigures) {
  const std::string folder = NewFolder("all_failed");
  const Finished failed =
      RunProgram(SmallRun("compare", {"--arms", "ring", "--steps", "30", "--out", folder, "--set",
                                      "optimizer.learning_rate=1e30"}));
  ASSERT_EQ(failed.exit_code, 1) << failed.err;
  const Finished page = RunProgram({"report", folder, "-o", folder + "/r.html"});
  EXPECT_EQ(page.exit_code, 0) << page.err;
  EXPECT_THAT(page.err, HasSubstr("no run has finished"));
  const Finished text = RunProgram({"report", folder, "--format", "md"});
  EXPECT_THAT(text.out, HasSubstr("Anything about speed or accuracy: no run has finished"));
  EXPECT_THAT(text.out, HasSubstr("## Failed runs"));
}

TEST(Report, OutputsThatCannotBeWrittenAndUnknownChartsEndBeforeAnythingIsDone) {
  const std::string store = Store("outputs");
  EXPECT_EQ(RunProgram({"report", store, "-o", "/no/such/folder/r.html"}).exit_code, 2);
  EXPECT_EQ(RunProgram({"report", store, "--format", "pdf"}).exit_code, 2);
  EXPECT_EQ(RunProgram({"plot", "scaling", store, "-o", store}).exit_code, 2);
  const Finished unknown = RunProgram({"plot", "speed", store});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("known are ranking, time_to_accuracy"));
  const Finished arm = RunProgram({"plot", "scaling", store, "--arms", "ps"});
  EXPECT_EQ(arm.exit_code, 2);
  EXPECT_THAT(arm.err, HasSubstr("it has solo, ring"));
  const Finished missing = RunProgram({"plot", "prediction", store});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("ringmaster predict"));
}

TEST(Plot, WithoutNodeSaysHowToGetIt) {
  const std::string store = Store("no_node");
  const Finished finished = RunProgram({"plot", "ranking", store}, {"PATH=/nonexistent"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_THAT(finished.err, HasSubstr("apt-get install nodejs"));
  const Finished list = RunProgram({"plot", "--list"}, {"PATH=/nonexistent"});
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_THAT(list.out, HasSubstr("time_to_accuracy"));
}

}  // namespace
}  // namespace ringmaster
