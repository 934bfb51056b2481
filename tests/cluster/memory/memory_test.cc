// What a run is said to take of memory before it starts, beside what its processes have taken.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "experiments/program/run/memory/memory_need.h"
#include "experiments/program/store/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"
#include "tests/support/arms.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::IsEmpty;

constexpr double kTenth = 0.1;
// Code and constants of a process: other tests' processes have a share of them, or none.
constexpr double kSharedBytes = 7e6;

// Of the runs that follow: it outweighs all else.
constexpr double kArenaBytes = 4.0 * (785 * 2100 + 2101 * 2000 + 2001 * 10);

std::vector<RunRecord> RecordsOfArms(const std::string& arms, const std::string& transport) {
  const std::string out = NewFolder("memory-" + transport);
  const Finished finished =
      RunProgram({"compare", "--no-turns", "--arms", arms, "--model", "mlp", "--set",
                  "model.mlp_hidden=2100,2000", "--data", "synthetic", "--transport", transport,
                  "--batch", "4", "--steps", "4", "--out", out});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  const auto records = Store::ReadRecords(out);
  EXPECT_TRUE(records.ok()) << records.status();
  return records.ok() ? *records : std::vector<RunRecord>();
}

// Processes of servers alone take most while they start, before they meet workers: so much more
// than in the end, where it is measured.
double StartBytes(const MemoryNeed& need) {
  const bool serves_alone = need.nodes_size() == 1 && absl::StartsWith(need.nodes(0), "server/");
  return serves_alone ? kArenaBytes : 0;
}

// What differs by more than a tenth, a line each.
std::vector<std::string> Differences(const RunRecord& record) {
  std::vector<std::string> found;
  for (int i = 0; i < record.memory_needs_size(); ++i) {
    const MemoryNeed& need = record.memory_needs(i);
    const auto bytes = static_cast<double>(TotalBytes(need));
    const auto pss = static_cast<double>(record.reports(i).costs().pss_bytes());
    const double most = (1 + kTenth) * pss + kSharedBytes + StartBytes(need);
    if (bytes >= (1 - kTenth) * pss && bytes <= most) continue;
    found.push_back(absl::StrCat(record.spec().name(), " ", absl::StrJoin(need.nodes(), "+"),
                                 ": planned ", bytes / 1e6, " MB, taken ", pss / 1e6, " MB"));
  }
  return found;
}

TEST(Memory, IsWithinATenthOfWhatWasSaidBefore) {
  for (const std::string transport : {"shm", "tcp"}) {
    SCOPED_TRACE(transport);
    for (const RunRecord& record :
         RecordsOfArms(Joined(OneArmOfEachScheme(RunsEverywhere)), transport))
      EXPECT_THAT(Differences(record), IsEmpty());
  }
}

}  // namespace
}  // namespace ringmaster
