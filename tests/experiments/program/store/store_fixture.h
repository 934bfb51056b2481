#ifndef RINGMASTER_TESTS_EXPERIMENTS_PROGRAM_STORE_STORE_FIXTURE_H_
#define RINGMASTER_TESTS_EXPERIMENTS_PROGRAM_STORE_STORE_FIXTURE_H_

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "experiments/program/store/database.h"
#include "experiments/program/store/json.h"
#include "experiments/program/store/store.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline RunRecord Record(const std::string& run_id) {
  RunRecord record;
  record.set_run_id(run_id);
  record.set_status("ok");
  record.mutable_spec()->set_name("ps");
  record.mutable_spec()->mutable_training()->set_steps(2);
  record.mutable_summary()->set_arm("ps");
  record.mutable_summary()->set_status("ok");
  record.mutable_summary()->set_samples_per_second(1000.5);
  (*record.mutable_summary()->mutable_phase_ms())["gate"] = 0.5;
  for (int rank = 0; rank < 2; ++rank) {
    WorkerReport* worker = record.add_reports()->add_workers();
    worker->set_rank(rank);
    worker->add_step_ms(10);
    worker->add_step_ms(20.5f + static_cast<float>(rank));
    worker->add_step_loss(2.25f);
    worker->add_step_loss(1.5f);
  }
  return record;
}

// The line of a run in results.jsonl, with its end.
inline std::string WholeLine(const RunRecord& record) {
  std::string line = SummaryJson(record);
  line.pop_back();
  return absl::StrCat(line, ",\"record_file\":\"records/", record.run_id(), ".pb\"}\n");
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest()
      : dir_(std::string(std::getenv("TEST_TMPDIR")) + "/" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name()) {}

  std::unique_ptr<Store> Open(StoreIndex index = StoreIndex::kKept) {
    auto store = Store::Open(dir_, index);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  std::vector<SqlRow> Query(const std::string& sql) {
    auto database = Database::Open(dir_ + "/results.sqlite");
    EXPECT_TRUE(database.ok()) << database.status();
    auto rows = (*database)->Query(sql);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<SqlRow>();
  }

  int64_t Count(const std::string& table) {
    return std::get<int64_t>(Query("SELECT count(*) FROM " + table)[0][0]);
  }

  std::string Lines() { return ReadFile(dir_ + "/results.jsonl"); }

  // Of writers that found the first file taken.
  std::vector<std::string> OtherLines() {
    std::vector<std::string> contents;
    for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
      if (entry.path().filename().string().rfind("results-", 0) == 0)
        contents.push_back(ReadFile(entry.path().string()));
    }
    return contents;
  }

  const std::string dir_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_PROGRAM_STORE_STORE_FIXTURE_H_
