#include "tests/docs/theory_page.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::map<std::string, Rows> ReadTables() {
  std::ifstream file("docs/THEORY.md");
  EXPECT_TRUE(file.good());
  std::map<std::string, Rows> tables;
  std::string line, heading;
  while (std::getline(file, line)) {
    if (line.rfind("## ", 0) == 0) heading = line.substr(3);
    if (line.empty() || line[0] != '|') continue;
    std::vector<std::string> cells = absl::StrSplit(line.substr(1, line.size() - 2), '|');
    for (std::string& cell : cells) cell = std::string(absl::StripAsciiWhitespace(cell));
    tables[heading].push_back(std::move(cells));
  }
  for (auto& [name, rows] : tables) {
    EXPECT_GT(rows.size(), 2u) << name;
    rows.erase(rows.begin(), rows.begin() + 2);  // the head and the line under it
  }
  return tables;
}

const std::map<std::string, Rows>& Tables() {
  static const auto* const kTables = new std::map<std::string, Rows>(ReadTables());
  return *kTables;
}

std::set<std::string>& Computed() {
  static auto* const computed = new std::set<std::string>;
  return *computed;
}

// Where all tests have run, every table of the page has been asked for.
class EveryTableIsComputed : public ::testing::Environment {
 public:
  void TearDown() override {
    if (::testing::GTEST_FLAG(filter) != "*") return;
    for (const auto& [heading, rows] : Tables()) {
      EXPECT_EQ(Computed().count(heading), 1u) << "no test computes the table of " << heading;
    }
  }
};
const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new EveryTableIsComputed);  // owned by gtest

}  // namespace

Rows TableOf(const std::string& heading) {
  Computed().insert(heading);
  const auto found = Tables().find(heading);
  if (found != Tables().end()) return found->second;
  ADD_FAILURE() << "docs/THEORY.md has no table under \"" << heading << "\"";
  return {};
}

double NumberIn(const std::string& cell) {
  const size_t space = cell.find_last_of(' ');
  const size_t begin = space == std::string::npos ? 0 : space + 1;
  char* end = nullptr;
  const double value = std::strtod(cell.c_str() + begin, &end);
  EXPECT_NE(end, cell.c_str() + begin) << "no number in \"" << cell << "\"";
  return value;
}

void ExpectCell(const std::string& cell, double value, double units) {
  const size_t point = cell.find('.');
  const int decimals = point == std::string::npos ? 0 : static_cast<int>(cell.size() - point - 1);
  EXPECT_NEAR(NumberIn(cell), value, units * std::pow(10.0, -decimals));
}

bool IsStablePolynomial(std::vector<double> coefficients) {
  while (coefficients.size() > 1) {
    const size_t degree = coefficients.size() - 1;
    const double reflection = coefficients[degree] / coefficients[0];
    if (!(std::abs(reflection) < 1)) return false;
    std::vector<double> next(degree);
    for (size_t i = 0; i < degree; ++i)
      next[i] = coefficients[i] - reflection * coefficients[degree - i];
    coefficients = std::move(next);
  }
  return true;
}

}  // namespace ringmaster
