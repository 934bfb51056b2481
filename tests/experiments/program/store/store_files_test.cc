// The files of a store, from which its index can be made anew.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "experiments/program/store/run_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/experiments/program/store/store_fixture.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

TEST_F(StoreTest, TwoStoresOnOneFolderHaveAFileOfLinesEach) {
  const auto first = Open();
  const auto second = Open();
  ASSERT_TRUE(first->Append(Record("a")).ok());
  ASSERT_TRUE(second->Append(Record("b")).ok());
  ASSERT_TRUE(first->Append(Record("c")).ok());
  EXPECT_EQ(second->Records()->size(), 3u);
  EXPECT_EQ(Lines(), WholeLine(Record("a")) + WholeLine(Record("c")));
  EXPECT_EQ(OtherLines(), std::vector<std::string>({WholeLine(Record("b"))}));
}

TEST_F(StoreTest, AWriterThatHasEndedLeavesItsFileToTheNext) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  ASSERT_TRUE(Open()->Append(Record("b")).ok());
  EXPECT_EQ(Lines(), WholeLine(Record("a")) + WholeLine(Record("b")));
  EXPECT_TRUE(OtherLines().empty());
}

TEST_F(StoreTest, RunsThatTheIndexLacksAreReadFromTheirFiles) {
  {
    const auto first = Open(), second = Open();
    ASSERT_TRUE(first->Append(Record("a")).ok());
    ASSERT_TRUE(second->Append(Record("b")).ok());
  }
  ASSERT_TRUE((*Database::Open(dir_ + "/results.sqlite"))
                  ->Execute("DELETE FROM runs; DELETE FROM steps")
                  .ok());
  const auto records = Store::ReadRecords(dir_);
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[1].SerializeAsString().size(), Record("b").SerializeAsString().size());
  EXPECT_EQ(Count("runs"), 0) << "reading changed the index";
  // Who writes to the store brings its index up to date.
  EXPECT_EQ(Open()->Records()->size(), 2u);
  EXPECT_EQ(Count("runs"), 2);
}

TEST_F(StoreTest, ARunWhoseRecordFileIsDamagedIsNamedAndTheOthersAreRead) {
  {
    const auto store = Open();
    for (const char* id : {"a", "b"}) ASSERT_TRUE(store->Append(Record(id)).ok());
  }
  ASSERT_TRUE((*Database::Open(dir_ + "/results.sqlite"))
                  ->Execute("DELETE FROM runs; DELETE FROM steps")
                  .ok());
  std::filesystem::copy_file(dir_ + "/records/b.pb", dir_ + "/records/a.pb",
                             std::filesystem::copy_options::overwrite_existing);
  testing::internal::CaptureStdout();
  const auto records = Store::ReadRecords(dir_);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("lacks 1 of the runs"));
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 1u);
  EXPECT_EQ((*records)[0].run_id(), "b");
}

TEST_F(StoreTest, AnIndexIsRebuiltFromTheFilesWhateverItWas) {
  {
    const auto first = Open(), second = Open();
    ASSERT_TRUE(first->Append(Record("a")).ok());
    ASSERT_TRUE(second->Append(Record("b")).ok());
    const auto refused = Store::Rebuild(dir_);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable) << refused.status();
  }
  std::ofstream(dir_ + "/results.sqlite") << std::string(5000, 'x');
  const auto rebuilt = Store::Rebuild(dir_);
  ASSERT_TRUE(rebuilt.ok()) << rebuilt.status();
  EXPECT_EQ(rebuilt->runs, 2u);
  EXPECT_EQ(rebuilt->imported, 0u);
  EXPECT_TRUE(rebuilt->lost.empty());
  EXPECT_FALSE(rebuilt->old_database.ok());
  EXPECT_EQ(Count("runs"), 2);
  EXPECT_EQ(Count("steps"), 8);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/results.sqlite.rebuilding"));
  EXPECT_TRUE(Open()->Append(Record("c")).ok());
  std::filesystem::remove(dir_ + "/results.sqlite");
  EXPECT_EQ(Store::Rebuild(dir_)->runs, 3u);
}

TEST_F(StoreTest, RebuildingImportsTheRunsOfAnOldStore) {
  {
    const auto store = Open();
    for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(store->Append(Record(id)).ok());
  }
  // As an older program left it: no record files, here and there no line either.
  std::filesystem::remove_all(dir_ + "/records");
  std::ofstream(dir_ + "/results.jsonl") << SummaryJson(Record("a")) << "\n"
                                         << SummaryJson(Record("lost")) << "\n";
  const auto rebuilt = Store::Rebuild(dir_);
  ASSERT_TRUE(rebuilt.ok()) << rebuilt.status();
  EXPECT_EQ(rebuilt->runs, 3u);
  EXPECT_EQ(rebuilt->imported, 3u);
  EXPECT_EQ(rebuilt->lost, std::vector<std::string>({"lost"}));
  EXPECT_TRUE(rebuilt->old_database.ok()) << rebuilt->old_database;
  EXPECT_EQ(Lines(), SummaryJson(Record("a")) + "\n" + SummaryJson(Record("lost")) + "\n" +
                         WholeLine(Record("b")) + WholeLine(Record("c")));
  EXPECT_EQ(Store::Rebuild(dir_)->imported, 0u);
  EXPECT_EQ(Store::ReadRecords(dir_)->size(), 3u);
}

TEST_F(StoreTest, NothingIsRebuiltWhereThereIsNoStore) {
  EXPECT_EQ(Store::Rebuild(dir_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

// As on a network file system: no index, no locks, a file of lines for each writer.
TEST_F(StoreTest, WithoutAnIndexWritersSeeEachOthersRunsAndReadersAllOfThem) {
  RunRecord stopped = Record("b");
  stopped.set_status("UNAVAILABLE: gone");
  stopped.set_stopped(true);
  stopped.mutable_summary()->set_status(stopped.status());
  stopped.mutable_sweep()->set_sweep("s");
  stopped.mutable_sweep()->set_cell("c");
  stopped.mutable_summary()->set_sweep("s");
  stopped.mutable_summary()->set_cell("c");
  stopped.mutable_summary()->set_trial(0);
  {
    const auto first = Open(StoreIndex::kNone), second = Open(StoreIndex::kNone);
    EXPECT_FALSE(first->has_index());
    ASSERT_TRUE(first->Append(Record("a")).ok());
    ASSERT_TRUE(second->Append(stopped).ok());
    EXPECT_EQ(first->Records()->size(), 2u);
    EXPECT_EQ(second->Records()->size(), 2u);
    EXPECT_EQ(first->Append(Record("b")).code(), absl::StatusCode::kAlreadyExists);
    const auto runs = first->SweepRuns("s");
    ASSERT_TRUE(runs.ok()) << runs.status();
    ASSERT_EQ(runs->size(), 1u);
    EXPECT_TRUE((*runs)[0].stopped);
    // One with an index sees what they add, too.
    const auto third = Open();
    ASSERT_TRUE(first->Append(Record("c")).ok());
    EXPECT_EQ(third->Records()->size(), 3u);
    std::filesystem::remove(dir_ + "/results.sqlite");
  }
  EXPECT_EQ(OtherLines().size(), 2u);
  const auto records = Store::ReadRecords(dir_);
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ(records->size(), 3u);
  EXPECT_EQ(Store::ReadSweepRuns(dir_, "s")->size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/results.sqlite")) << "reading made an index";
  EXPECT_EQ(Store::Rebuild(dir_)->runs, 3u);
  EXPECT_EQ(Open(StoreIndex::kNone)->Records()->size(), 3u);
}

TEST_F(StoreTest, WithoutAnIndexTheRunsOfAnOldOneAreStillThere) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  // As an older program left it.
  std::filesystem::remove_all(dir_ + "/records");
  const auto store = Open(StoreIndex::kNone);
  ASSERT_TRUE(store->Append(Record("b")).ok());
  EXPECT_EQ(store->Records()->size(), 2u);
  EXPECT_EQ(Count("runs"), 1);
}

TEST_F(StoreTest, ALineThatIsBeingWrittenIsReadWhenItIsWhole) {
  std::filesystem::create_directories(dir_);
  LineFollower follower(dir_);
  EXPECT_TRUE(follower.ReadNew().empty());
  std::ofstream lines(dir_ + "/results-1.jsonl");
  lines << "{\"run_id\":\"a\"}\n{\"run_id\":" << std::flush;
  ASSERT_EQ(follower.ReadNew().size(), 1u);
  EXPECT_TRUE(follower.ReadNew().empty());
  lines << "\"b\"}\n" << std::flush;
  std::ofstream(dir_ + "/results.jsonl") << "{\"run_id\":\"c\"}\n";
  const std::vector<ListedRun> more = follower.ReadNew();
  ASSERT_EQ(more.size(), 2u);
  EXPECT_EQ(more[0].run_id, "c");
  EXPECT_EQ(more[1].run_id, "b");
}

TEST_F(StoreTest, ARunThatIsNotWantedAtTheLastMomentLeavesNothing) {
  const auto store = Open();
  EXPECT_EQ(store->AppendIf(Record("a"), [] { return false; }).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Lines(), "");
  EXPECT_EQ(Count("runs"), 0);
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/records"));
  EXPECT_TRUE(
      store->AppendIf(Record("a"), [&] { return std::filesystem::exists(dir_ + "/records/a.pb"); })
          .ok());
  EXPECT_EQ(Lines(), WholeLine(Record("a")));
}

TEST_F(StoreTest, ARunIdThatIsNoFileNameIsRefused) {
  const auto store = Open();
  for (const char* id : {"../a", "a/b", "", ".a"}) {
    EXPECT_EQ(store->Append(Record(id)).code(), absl::StatusCode::kInvalidArgument) << id;
  }
  EXPECT_EQ(Lines(), "");
  EXPECT_EQ(Count("runs"), 0);
}

}  // namespace
}  // namespace ringmaster
