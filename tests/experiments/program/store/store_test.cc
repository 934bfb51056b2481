#include "experiments/program/store/store.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/experiments/program/store/store_fixture.h"

namespace ringmaster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(StoreTest, RunsAreInBothFilesAndSurviveReopening) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  const auto store = Open();
  ASSERT_TRUE(store->Append(Record("b")).ok());
  EXPECT_EQ(Lines(), WholeLine(Record("a")) + WholeLine(Record("b")));
  const auto records = store->Records();
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[0].run_id(), "a");
  EXPECT_EQ((*records)[1].SerializeAsString().size(), Record("b").SerializeAsString().size());
  EXPECT_EQ((*records)[1].reports(1).workers(0).step_ms(1), 21.5f);
}

TEST_F(StoreTest, FiguresAreColumnsAndUndefinedOnesNull) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  const SqlRow row = Query(
                         "SELECT arm, samples_per_second, final_loss, phase_ms, steps, spec FROM "
                         "runs WHERE run_id = 'a'")
                         .at(0);
  EXPECT_EQ(std::get<std::string>(row[0]), "ps");
  EXPECT_EQ(std::get<double>(row[1]), 1000.5);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(row[2]));
  EXPECT_EQ(std::get<std::string>(row[3]), "{\"gate\":0.5}");
  EXPECT_EQ(std::get<int64_t>(row[4]), 0);
  EXPECT_THAT(std::get<std::string>(row[5]), HasSubstr("steps: 2"));
}

TEST_F(StoreTest, EveryStepOfEveryRankIsARow) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  EXPECT_EQ(Count("steps"), 4);
  const SqlRow row =
      Query("SELECT step_ms, loss FROM steps WHERE run_id = 'a' AND rank = 1 AND step = 1").at(0);
  EXPECT_EQ(std::get<double>(row[0]), 21.5);
  EXPECT_EQ(std::get<double>(row[1]), 1.5);
}

TEST_F(StoreTest, TheSameRunTwiceIsRefusedAndChangesNothing) {
  const auto store = Open();
  ASSERT_TRUE(store->Append(Record("a")).ok());
  const std::string lines = Lines();
  const absl::Status status = store->Append(Record("a"));
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr("run a of arm \"ps\" is not stored"));
  EXPECT_EQ(Lines(), lines);
  EXPECT_EQ(Count("runs"), 1);
  EXPECT_EQ(Count("steps"), 4);
  EXPECT_TRUE(store->Append(Record("b")).ok()) << "the failed append left a transaction open";
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsRefusedAndLeftUntouched) {
  std::filesystem::create_directories(dir_);
  const std::string text(5000, 'x');
  std::ofstream(dir_ + "/results.sqlite") << text;
  const auto store = Store::Open(dir_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(dir_ + "/results.sqlite"));
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("not a database"));
  EXPECT_EQ(ReadFile(dir_ + "/results.sqlite"), text);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/results.jsonl"));
}

TEST_F(StoreTest, AnotherProgramsDatabaseIsRefusedAndLeftUntouched) {
  std::filesystem::create_directories(dir_);
  ASSERT_TRUE((*Database::Open(dir_ + "/results.sqlite"))->Execute("CREATE TABLE runs(x)").ok());
  const std::string bytes = ReadFile(dir_ + "/results.sqlite");
  const auto store = Store::Open(dir_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("another program"));
  EXPECT_EQ(ReadFile(dir_ + "/results.sqlite"), bytes);
}

TEST_F(StoreTest, ADatabaseOfAnOlderProgramGetsTheMissingColumns) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  ASSERT_TRUE((*Database::Open(dir_ + "/results.sqlite"))
                  ->Execute("ALTER TABLE runs DROP COLUMN efficiency")
                  .ok());
  ASSERT_TRUE(Open()->Append(Record("b")).ok());
  EXPECT_EQ(Query("SELECT efficiency FROM runs").size(), 2u);
}

TEST_F(StoreTest, AStoreFromBeforePredictionsAndVersionsIsReadAndAddedTo) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  ASSERT_TRUE(
      (*Database::Open(dir_ + "/results.sqlite"))
          ->Execute("ALTER TABLE runs DROP COLUMN predicted_step_ms; PRAGMA user_version = 0")
          .ok());
  const auto read = Store::ReadRecords(dir_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), 1u);
  EXPECT_EQ(
      Query("SELECT name FROM pragma_table_info('runs') WHERE name = 'predicted_step_ms'").size(),
      0u);
  RunRecord record = Record("b");
  record.mutable_summary()->set_predicted_step_ms(2.5);
  ASSERT_TRUE(Open()->Append(record).ok());
  EXPECT_EQ(
      std::get<double>(Query("SELECT predicted_step_ms FROM runs WHERE run_id = 'b'").at(0)[0]),
      2.5);
}

TEST_F(StoreTest, AStoreOfANewerProgramIsRefusedAndLeftUntouched) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  ASSERT_TRUE((*Database::Open(dir_ + "/results.sqlite"))->Execute("PRAGMA user_version = 7").ok());
  const std::string bytes = ReadFile(dir_ + "/results.sqlite");
  for (const absl::Status& status :
       {Store::Open(dir_).status(), Store::ReadRecords(dir_).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("version 7, this program knows versions up to 1"));
  }
  EXPECT_EQ(ReadFile(dir_ + "/results.sqlite"), bytes);
}

TEST_F(StoreTest, ReadingCreatesAndChangesNothing) {
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  const std::string bytes = ReadFile(dir_ + "/results.sqlite");
  std::filesystem::remove(dir_ + "/results.jsonl");
  for (const std::string& path : {dir_, dir_ + "/results.sqlite"}) {
    const auto records = Store::ReadRecords(path);
    ASSERT_TRUE(records.ok()) << records.status();
    ASSERT_EQ(records->size(), 1u);
    EXPECT_EQ((*records)[0].run_id(), "a");
  }
  EXPECT_EQ(ReadFile(dir_ + "/results.sqlite"), bytes);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_), {}), 2);  // with records
  EXPECT_EQ(Store::ReadRecords(dir_ + "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/none"));
}

TEST_F(StoreTest, WhatAnotherProcessIsStillWritingIsReadToo) {
  const auto writer = Open();
  // in the log beside the database, while the writer lives
  ASSERT_TRUE(writer->Append(Record("a")).ok());
  ASSERT_GT(std::filesystem::file_size(dir_ + "/results.sqlite-wal"), 0u);
  const auto records = Store::ReadRecords(dir_);
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ(records->size(), 1u);
  EXPECT_TRUE(writer->Append(Record("b")).ok());
}

// Copies of the files of a store that is being written, as of one whose program was killed, in a
// folder for all users.
class CopiedStore : public StoreTest {
 protected:
  void SetUp() override {
    char path[] = "/tmp/ringmaster-store-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    copy_ = path;
    const auto writer = Open();
    ASSERT_TRUE(writer->Append(Record("a")).ok());
    // The log is folded in here, and goes on with the others.
    Query("PRAGMA wal_checkpoint(TRUNCATE)");
    for (const char* id : {"b", "c"}) ASSERT_TRUE(writer->Append(Record(id)).ok());
    for (const char* name : {"results.sqlite", "results.sqlite-wal", "results.jsonl"}) {
      std::filesystem::copy_file(absl::StrCat(dir_, "/", name), absl::StrCat(copy_, "/", name));
    }
  }
  void TearDown() override {
    chmod(copy_.c_str(), 0755);
    std::filesystem::remove_all(copy_);
  }
  // Nobody may write there; and who is root, whom modes do not bind, becomes another user in a
  // child. Returns how many runs ReadRecords finds, -1 on an error, which goes to standard error.
  int ReadAsAnybody() {
    for (const auto& entry : std::filesystem::directory_iterator(copy_))
      chmod(entry.path().c_str(), 0444);
    chmod(copy_.c_str(), 0555);
    const pid_t child = fork();
    if (child == 0) {
      constexpr uid_t kNobody = 65534;
      if (geteuid() == 0 && setuid(kNobody) != 0) _exit(200);
      const auto records = Store::ReadRecords(copy_);
      if (!records.ok()) std::fprintf(stderr, "%s\n", records.status().ToString().c_str());
      _exit(records.ok() ? static_cast<int>(records->size()) : 255);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
  }
  std::string copy_;
};

TEST_F(CopiedStore, WithItsLogIsReadWhereNothingCanBeWritten) {
  const std::string bytes = ReadFile(copy_ + "/results.sqlite"),
                    log = ReadFile(copy_ + "/results.sqlite-wal");
  EXPECT_EQ(ReadAsAnybody(), 3);
  EXPECT_EQ(ReadFile(copy_ + "/results.sqlite"), bytes);
  EXPECT_EQ(ReadFile(copy_ + "/results.sqlite-wal"), log);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(copy_), {}), 3);
}

TEST_F(CopiedStore, WithoutItsLogNamesTheRunsThatAreMissing) {
  std::filesystem::remove(copy_ + "/results.sqlite-wal");
  testing::internal::CaptureStdout();  // where spdlog logs by default
  const auto records = Store::ReadRecords(copy_);
  const std::string said = testing::internal::GetCapturedStdout();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ(records->size(), 1u);
  EXPECT_THAT(said, AllOf(HasSubstr("results.sqlite lacks 2 of the runs in results.jsonl (b, c)"),
                          HasSubstr("results.sqlite-wal")));
  // Who goes on with such a store hears of it too.
  testing::internal::CaptureStdout();
  EXPECT_TRUE(Store::Open(copy_).ok());
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("lacks 2 of the runs"));
}

TEST_F(CopiedStore, OfWhichNothingIsLeftIsAnError) {
  std::filesystem::remove(copy_ + "/results.sqlite-wal");
  {
    const auto database = Database::Open(copy_ + "/results.sqlite");
    ASSERT_TRUE((*database)->Execute("DELETE FROM runs; PRAGMA wal_checkpoint(TRUNCATE)").ok());
  }
  EXPECT_THAT(std::string(Store::ReadRecords(copy_).status().message()),
              HasSubstr("lacks 3 of the runs"));
}

TEST_F(CopiedStore, WhoseLogCannotBeReadIsAnErrorThatNamesIt) {
  chmod(copy_.c_str(), 0555);
  const pid_t child = fork();
  if (child == 0) {
    chmod((copy_ + "/results.sqlite").c_str(), 0444);
    chmod((copy_ + "/results.sqlite-wal").c_str(), 0);
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    const std::string said(Store::ReadRecords(copy_).status().message());
    std::fprintf(stderr, "%s\n", said.c_str());
    _exit(said.find("results.sqlite-wal cannot be read (Permission denied)") == std::string::npos);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(StoreTest, TheRunsOfASweepAreReadWithoutMakingAStore) {
  const auto none = Store::ReadSweepRuns(dir_, "s");
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->empty());
  EXPECT_FALSE(std::filesystem::exists(dir_));
  RunRecord record = Record("a");
  record.mutable_sweep()->set_sweep("s");
  record.mutable_summary()->set_sweep("s");
  record.mutable_summary()->set_cell("c");
  record.mutable_summary()->set_trial(2);
  ASSERT_TRUE(Open()->Append(record).ok());
  const auto runs = Store::ReadSweepRuns(dir_, "s");
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 1u);
  EXPECT_EQ((*runs)[0].trial, 2);
  // From before there were sweeps.
  ASSERT_TRUE((*Database::Open(dir_ + "/results.sqlite"))
                  ->Execute("ALTER TABLE runs DROP COLUMN sweep")
                  .ok());
  const auto older = Store::ReadSweepRuns(dir_, "s");
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_TRUE(older->empty());
}

TEST_F(StoreTest, ADamagedStoreIsAClearErrorAndLeftUntouched) {
  {
    const auto store = Open();
    for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(store->Append(Record(id)).ok());
  }
  std::string bytes = ReadFile(dir_ + "/results.sqlite");
  for (const size_t kept : {bytes.size() / 2, size_t{5000}}) {
    std::ofstream(dir_ + "/results.sqlite", std::ios::binary) << bytes.substr(0, kept);
    const auto records = Store::ReadRecords(dir_);
    EXPECT_EQ(records.status().code(), absl::StatusCode::kInvalidArgument) << records.status();
    EXPECT_THAT(std::string(records.status().message()), HasSubstr("it is left as it is"));
    EXPECT_EQ(ReadFile(dir_ + "/results.sqlite"), bytes.substr(0, kept));
  }
}

TEST_F(StoreTest, AFolderThatCannotBeMadeIsAClearError) {
  std::ofstream(dir_) << "a file";
  for (const std::string& dir : {dir_, dir_ + "/below", std::string("/proc/no-such-folder")}) {
    const auto store = Store::Open(dir);
    EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument) << dir;
    EXPECT_THAT(std::string(store.status().message()), HasSubstr("results folder " + dir));
  }
}

TEST_F(StoreTest, AFolderInPlaceOfAFileIsAClearError) {
  std::filesystem::create_directories(dir_ + "/results.jsonl");
  EXPECT_THAT(std::string(Store::Open(dir_).status().message()),
              HasSubstr("results.jsonl: cannot be written"));
}

// Files of this process may not grow beyond `bytes` while it lives: writes fail as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

TEST_F(StoreTest, AFullDiskUnderTheDatabaseLeavesBothFilesAsTheyWere) {
  const auto store = Open();
  ASSERT_TRUE(store->Append(Record("a")).ok());
  const std::string lines = Lines();
  RunRecord large = Record("b");
  for (int step = 0; step < 20000; ++step)
    large.mutable_reports(0)->mutable_workers(0)->add_step_ms(1);
  {
    const FileSizeLimit limit(200000);
    const absl::Status status = store->Append(large);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  }
  EXPECT_EQ(Lines(), lines);
  EXPECT_EQ(Count("runs"), 1);
  ASSERT_TRUE(store->Append(large).ok());
  EXPECT_EQ(Count("runs"), 2);
  EXPECT_EQ(Count("steps"), 4 + 20004);
}

TEST_F(StoreTest, AFullDiskUnderTheLinesLeavesBothFilesAsTheyWere) {
  const auto store = Open();
  ASSERT_TRUE(store->Append(Record("a")).ok());
  // A line file much larger than the database, so that the limit is its own.
  const std::string filler(4000000, ' ');
  std::ofstream(dir_ + "/results.jsonl", std::ios::app) << filler << "\n";
  const std::string lines = Lines();
  {
    const FileSizeLimit limit(lines.size() + 10);
    const absl::Status status = store->Append(Record("b"));
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("results.jsonl"));
  }
  EXPECT_EQ(Lines() == lines, true) << "the part of a line stayed";
  EXPECT_EQ(Count("runs"), 1);
  ASSERT_TRUE(store->Append(Record("b")).ok());
  EXPECT_EQ(Lines() == lines + WholeLine(Record("b")), true);
}

TEST_F(StoreTest, ATornLastLineIsClosedBeforeTheNextOne) {
  std::filesystem::create_directories(dir_);
  std::ofstream(dir_ + "/results.jsonl") << "{\"arm\": \"p";
  ASSERT_TRUE(Open()->Append(Record("a")).ok());
  EXPECT_EQ(Lines(), "{\"arm\": \"p\n" + WholeLine(Record("a")));
}

TEST_F(StoreTest, ManyThatMakeOneFolderAtOnceAllOpenIt) {
  constexpr int kRounds = 20, kOpeners = 4;
  for (int round = 0; round < kRounds; ++round) {
    const std::string folder = dir_ + std::to_string(round);
    std::vector<absl::Status> statuses(kOpeners);
    std::vector<std::thread> openers;
    for (absl::Status& status : statuses) {
      openers.emplace_back([&folder, &status] { status = Store::Open(folder).status(); });
    }
    for (std::thread& opener : openers) opener.join();
    for (const absl::Status& status : statuses) ASSERT_TRUE(status.ok()) << status;
  }
}

}  // namespace
}  // namespace ringmaster
