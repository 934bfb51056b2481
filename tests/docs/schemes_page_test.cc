// docs/SCHEMES.md: its table, against the traits of every arm that sends floats.
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/scheme/registry.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

struct Row {
  std::string momentum, clipping, copies;
};

// The table's rows by the arms that they name.
std::map<std::string, Row> RowsByArm() {
  std::ifstream file("docs/SCHEMES.md");
  EXPECT_TRUE(file.good());
  std::map<std::string, Row> rows;
  std::string line;
  while (std::getline(file, line)) {
    if (!absl::StartsWith(line, "| `")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    if (cells.size() != 4) continue;
    const std::vector<std::string> words = absl::StrSplit(cells[0], '`');
    for (size_t i = 1; i < words.size(); i += 2)
      EXPECT_TRUE(rows.insert({words[i], {cells[1], cells[2], cells[3]}}).second) << words[i];
  }
  return rows;
}

TEST(SchemesPage, SaysOfEveryArmWhatMomentumClippingAndMarksMean) {
  const std::map<std::string, Row> rows = RowsByArm();
  const auto is_told = [](const ArmUnderTest& arm) { return Exchanges(arm) && arm.codec.exact; };
  const std::vector<std::string> arms = ArmsThat(is_told);
  for (const std::string& name : arms) {
    SCOPED_TRACE(name);
    const auto found = rows.find(name);
    ASSERT_NE(found, rows.end());
    const Row& row = found->second;
    const SchemeTraits traits = DescribeArm(name).traits;
    const bool arrives = traits.updates == Updates::kOnArrival;
    const bool is_own = traits.divisor == Divisor::kOwnBatches;
    EXPECT_EQ(absl::StartsWith(row.momentum, "refused"), arrives && !is_own);
    EXPECT_EQ(row.momentum == "each worker's own", is_own);
    EXPECT_EQ(absl::StrContains(row.momentum, "late"), traits.delay > 0);
    const bool is_shared = traits.updated != nullptr && traits.servers == 0;
    EXPECT_EQ(absl::StartsWith(row.clipping, "refused"),
              arrives || traits.servers > 1 || is_shared);
    EXPECT_EQ(absl::StrContains(row.clipping, "own gradient"), is_own && !arrives);
    EXPECT_EQ(absl::StartsWith(row.copies, "one at each worker"), traits.marks_are_averages);
  }
  EXPECT_EQ(rows.size(), arms.size());
}

}  // namespace
}  // namespace ringmaster
