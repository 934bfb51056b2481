#include "experiments/program/store/merge_stores.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/experiments/program/store/store_fixture.h"

namespace ringmaster {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class MergeTest : public StoreTest {
 protected:
  MergeTest() { fs::create_directories(dir_); }

  std::string Folder(const std::string& name) const { return dir_ + "/" + name; }
  // Makes a store of runs with these ids; the later the letter, the earlier the run.
  std::string Make(const std::string& name, const std::string& ids,
                   StoreIndex index = StoreIndex::kKept) const {
    const auto store = Store::Open(Folder(name), index);
    EXPECT_TRUE(store.ok()) << store.status();
    for (const char id : ids) EXPECT_TRUE((*store)->Append(RunOf(id)).ok());
    return Folder(name);
  }
  static RunRecord RunOf(char id) {
    RunRecord record = Record(std::string(1, id));
    record.set_started_at(absl::StrCat("2026-01-01T00:00:", 'z' - id + 10, "Z"));
    (*record.mutable_summary()->mutable_phase_ms())["update"] = 2;
    (*record.mutable_summary()->mutable_phase_ms())["load"] = 3;
    return record;
  }
  // All files of a folder, by name.
  static std::map<std::string, std::string> FilesIn(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file())
        files[fs::relative(entry.path(), folder)] = ReadFile(entry.path().string());
    }
    return files;
  }
  static std::vector<std::string> IdsIn(const std::string& folder) {
    const auto records = Store::ReadRecords(folder);
    EXPECT_TRUE(records.ok()) << records.status();
    std::vector<std::string> ids;
    for (const RunRecord& record : *records) ids.push_back(record.run_id());
    return ids;
  }
  StoreMerge Merge(const std::string& out, const std::vector<std::string>& folders) {
    auto merge = StoreMerge::Read(out, folders);
    EXPECT_TRUE(merge.ok()) << merge.status();
    const absl::Status written = merge->Write();
    EXPECT_TRUE(written.ok()) << written;
    return *std::move(merge);
  }
};

TEST_F(MergeTest, HasEachRunOnceByDateAndTheSecondTimeTheSameBytes) {
  const std::string one = Make("one", "bd"), two = Make("two", "ac"), three = Make("three", "be");
  const StoreMerge merge = Merge(Folder("all"), {one, two, three});
  EXPECT_EQ(merge.runs(), 5u);
  EXPECT_EQ(merge.added(), 5u);
  EXPECT_THAT(merge.problems(), IsEmpty());
  EXPECT_THAT(IdsIn(Folder("all")), ElementsAre("e", "d", "c", "b", "a"));
  const auto files = FilesIn(Folder("all"));
  EXPECT_EQ(Merge(Folder("all"), {one, two, three}).added(), 0u);
  EXPECT_EQ(FilesIn(Folder("all")), files);
  // In whatever order they come, at once or one by one.
  Merge(Folder("other"), {three, one, two});
  EXPECT_EQ(FilesIn(Folder("other")), files);
  Merge(Folder("later"), {two});
  EXPECT_EQ(Merge(Folder("later"), {three, one}).added(), 3u);
  EXPECT_EQ(FilesIn(Folder("later")), files);
  EXPECT_EQ(Merge(Folder("later"), {Folder("later")}).added(), 0u);
  EXPECT_EQ(FilesIn(Folder("later")), files);
}

TEST_F(MergeTest, TakesStoresOfEveryKind) {
  const std::string bare = Make("bare", "ab", StoreIndex::kNone), old = Make("old", "cd");
  // As an older program left it: an index and lines alone.
  fs::remove_all(old + "/records");
  std::ofstream(old + "/results.jsonl") << SummaryJson(RunOf('c')) << "\n";
  const std::string empty = Make("empty", "");
  Merge(Folder("all"), {bare, old, empty});
  EXPECT_THAT(IdsIn(Folder("all")), ElementsAre("d", "c", "b", "a"));
  fs::remove(Folder("all") + "/results.sqlite");
  EXPECT_EQ(IdsIn(Folder("all")).size(), 4u) << "the files have all of them";
}

// Who has a file of lines to itself may be at work, and takes no lock where none can be trusted.
TEST_F(MergeTest, AWriterWithAFileOfItsOwnGoesOn) {
  const std::string one = Make("one", "bc");
  const auto writer = Store::Open(Folder("all"), StoreIndex::kNone);
  ASSERT_TRUE((*writer)->Append(RunOf('a')).ok());
  EXPECT_EQ(Merge(Folder("all"), {one}).added(), 2u);
  ASSERT_TRUE((*writer)->Append(RunOf('d')).ok());
  EXPECT_THAT(IdsIn(Folder("all")), UnorderedElementsAre("a", "b", "c", "d"));
  const auto files = FilesIn(Folder("all"));
  EXPECT_EQ(files.count("results.jsonl"), 1u);
  EXPECT_EQ(std::count(files.at("results.jsonl").begin(), files.at("results.jsonl").end(), '\n'), 2)
      << "a run has two lines";
  EXPECT_EQ(Merge(Folder("all"), {one}).runs(), 4u);
  EXPECT_EQ((*writer)->Records()->size(), 4u);
}

TEST_F(MergeTest, ATornLineIsSaidAndLeftOut) {
  const std::string one = Make("one", "ab"), two = Make("two", "c");
  const std::string line = WholeLine(RunOf('x'));
  std::ofstream(two + "/results.jsonl", std::ios::app) << line.substr(0, line.size() / 2);
  const StoreMerge merge = Merge(Folder("all"), {one, two});
  EXPECT_THAT(merge.problems(), ElementsAre(HasSubstr("two/results.jsonl, line 2: is not whole")));
  EXPECT_THAT(IdsIn(Folder("all")), ElementsAre("c", "b", "a"));
}

TEST_F(MergeTest, UnlikeRecordsOfOneRunAreAnErrorThatNamesBothAndNothingIsWritten) {
  const std::string one = Make("one", "ab"), two = Make("two", "c");
  RunRecord other = RunOf('b');
  other.set_status("UNAVAILABLE: gone");
  ASSERT_TRUE((*Store::Open(two))->Append(other).ok());
  const auto merge = StoreMerge::Read(Folder("all"), {one, two});
  EXPECT_EQ(merge.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(merge.status().message()),
              AllOf(HasSubstr("run b"), HasSubstr(one), HasSubstr(two)));
  EXPECT_FALSE(fs::exists(Folder("all")));
}

TEST_F(MergeTest, AFolderWithoutAStoreAndOneInUseAreErrors) {
  const std::string one = Make("one", "a");
  EXPECT_EQ(StoreMerge::Read(Folder("all"), {one, Folder("none")}).status().code(),
            absl::StatusCode::kNotFound);
  const auto writer = Store::Open(Folder("all"));
  ASSERT_TRUE((*writer)->Append(RunOf('b')).ok());
  const auto merge = StoreMerge::Read(Folder("all"), {one});
  ASSERT_TRUE(merge.ok()) << merge.status();
  EXPECT_EQ(merge->Write().code(), absl::StatusCode::kUnavailable);
}

TEST_F(MergeTest, TrialsThatWereRunTwiceAreKeptAndSaid) {
  std::vector<std::string> folders;
  for (const char id : {'a', 'b'}) {
    RunRecord record = RunOf(id);
    record.mutable_sweep()->set_sweep("s");
    record.mutable_sweep()->set_cell("c");
    folders.push_back(Folder(std::string("of_") + id));
    ASSERT_TRUE((*Store::Open(folders.back()))->Append(record).ok());
  }
  const StoreMerge merge = Merge(Folder("all"), folders);
  EXPECT_EQ(merge.runs(), 2u);
  EXPECT_THAT(merge.problems(), ElementsAre(HasSubstr("trial 0: was run 2 times (a, b)")));
}

}  // namespace
}  // namespace ringmaster
