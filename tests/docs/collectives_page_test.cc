// docs/COLLECTIVES.md: the two lines that begin each section, against the schedules themselves.
#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/collective/hierarchical.h"
#include "common/collective/plan.h"
#include "common/collective/schedule.h"
#include "common/engine/engine_names.h"
#include "gtest/gtest.h"
#include "tests/docs/formula.h"

namespace ringmaster {
namespace {

constexpr int32_t kRanksMax = 40;

// The page's sections by heading.
std::map<std::string, std::string> Sections() {
  std::ifstream file("docs/COLLECTIVES.md");
  EXPECT_TRUE(file.good());
  std::map<std::string, std::string> sections;
  std::string line, heading;
  while (std::getline(file, line)) {
    if (line.rfind("## ", 0) == 0) {
      heading = line.substr(3);
    } else {
      absl::StrAppend(&sections[heading], line, "\n");
    }
  }
  return sections;
}

struct Formulae {
  std::string rounds, messages, bytes, total;
};

// What the section's first two lines say.
Formulae FormulaeOf(const std::string& section) {
  static const std::regex kTwoLines(
      "\n- \\*\\*Steps\\*\\*: `([^`]+)` rounds; the busiest rank sends `([^`]+)` messages\\.\n"
      "- \\*\\*Bytes\\*\\*: the busiest rank sends `([^`]+)`; "
      "all ranks together send `([^`]+)`\\.\n[^]*");
  std::smatch match;
  if (!std::regex_match(section, match, kTwoLines)) {
    ADD_FAILURE() << "the section does not begin with the two lines: " << section;
    return {"0", "0", "0", "0"};
  }
  return {match[1], match[2], match[3], match[4]};
}

double ValueOf(const std::string& formula, int32_t ranks, double bytes) {
  int32_t power = 1;
  while (2 * power <= ranks) power *= 2;
  const absl::StatusOr<double> value = Evaluate(formula, {{"N", ranks},
                                                          {"S", bytes},
                                                          {"M", power},
                                                          {"E", ranks - power},
                                                          {"P", DefaultGroupSize(ranks)}});
  EXPECT_TRUE(value.ok()) << value.status();
  return value.ok() ? *value : -1;
}

// What a schedule really does with `count` elements of 4 bytes.
struct Counted {
  int64_t rounds = 0;    // in which anybody sends
  int64_t messages = 0;  // of the rank that sends most
  int64_t bytes = 0;     // the same
  int64_t total = 0;     // bytes of all ranks
};

Counted Count(const Schedule& schedule, int32_t ranks, int64_t count) {
  Counted counted;
  std::set<int32_t> rounds;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    int64_t messages = 0;
    for (const Step& step : schedule.StepsOf(rank, ranks)) {
      rounds.insert(step.round);
      messages += step.op == Step::Op::kSend ? 1 : 0;
    }
    const int64_t bytes = SentBytes(schedule, rank, ranks, count, 4);
    counted.messages = std::max(counted.messages, messages);
    counted.bytes = std::max(counted.bytes, bytes);
    counted.total += bytes;
  }
  counted.rounds = static_cast<int64_t>(rounds.size());
  return counted;
}

TEST(CollectivesPage, EverySectionsTwoLinesAreWhatTheScheduleDoes) {
  const std::map<std::string, std::string> sections = Sections();
  for (const CollectiveInfo& info : Collectives()) {
    SCOPED_TRACE(info.name);
    ASSERT_EQ(sections.count(info.name), 1u) << "the page has no section for this schedule";
    const Formulae formulae = FormulaeOf(sections.at(info.name));
    const auto schedule = CreateSchedule(info.name);
    ASSERT_TRUE(schedule.ok());
    for (int32_t ranks = 2; ranks <= kRanksMax; ++ranks) {
      for (const int64_t count : {int64_t{ranks}, int64_t{840} * ranks, int64_t{1}, int64_t{41},
                                  int64_t{1000}, int64_t{431080}}) {
        SCOPED_TRACE(absl::StrCat("ranks=", ranks, " count=", count));
        const Counted counted = Count(**schedule, ranks, count);
        const double bytes = 4.0 * count;
        EXPECT_EQ(counted.rounds, ValueOf(formulae.rounds, ranks, bytes));
        EXPECT_EQ(counted.messages, ValueOf(formulae.messages, ranks, bytes));
        EXPECT_NEAR(counted.total, ValueOf(formulae.total, ranks, bytes), 1e-6 * bytes);
        // A rank sends each chunk up to four times, and a chunk may be an element larger than S/N.
        const double slack =
            count % (*schedule)->chunks(ranks) == 0 ? 1e-6 * bytes : 4.0 * 4 * ranks;
        EXPECT_NEAR(counted.bytes, ValueOf(formulae.bytes, ranks, bytes), slack);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(CollectivesPage, TheSectionOnGatheringIsWhatTheGatherPlanDoes) {
  const Formulae formulae = FormulaeOf(Sections()["all_gather"]);
  constexpr double kOwnBytes = 1000;
  for (int32_t ranks = 2; ranks <= kRanksMax; ++ranks) {
    SCOPED_TRACE(absl::StrCat("ranks=", ranks));
    int32_t rounds = 0;
    int64_t most = 0, all = 0;
    for (int32_t rank = 0; rank < ranks; ++rank) {
      int64_t messages = 0;
      for (const PlanOp& op : MakeGatherPlan(rank, ranks).ops) {
        rounds = std::max<int32_t>(rounds, op.round + 1);
        messages += IsSend(op) ? 1 : 0;
      }
      most = std::max(most, messages);
      all += messages;
    }
    EXPECT_EQ(rounds, ValueOf(formulae.rounds, ranks, kOwnBytes));
    EXPECT_EQ(most, ValueOf(formulae.messages, ranks, kOwnBytes));
    EXPECT_EQ(most * kOwnBytes, ValueOf(formulae.bytes, ranks, kOwnBytes));
    EXPECT_EQ(all * kOwnBytes, ValueOf(formulae.total, ranks, kOwnBytes));
  }
}

TEST(CollectivesPage, HalvingSendsTheRingsBytesAtAPowerOfTwoAndBelowThreeAndAHalfOtherwise) {
  const std::map<std::string, std::string> sections = Sections();
  const std::string ring = FormulaeOf(sections.at("ring")).bytes;
  const std::string halving = FormulaeOf(sections.at("halving_doubling")).bytes;
  double most = 0;
  for (int32_t ranks = 2; ranks <= 1024; ++ranks) {
    if ((ranks & (ranks - 1)) == 0) {
      EXPECT_DOUBLE_EQ(ValueOf(halving, ranks, 1), ValueOf(ring, ranks, 1)) << ranks;
    }
    most = std::max(most, ValueOf(halving, ranks, 1));
  }
  EXPECT_GT(most, 3.25);
  EXPECT_LT(most, 3.5);
}

TEST(CollectivesPage, NamesEveryEngine) {
  const std::string engines = Sections()["Engines"];
  for (const EngineInfo& engine : Engines()) {
    EXPECT_NE(engines.find(absl::StrCat("\n| ", engine.name, " | ")), std::string::npos)
        << engine.name;
  }
}

}  // namespace
}  // namespace ringmaster
