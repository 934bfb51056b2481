#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/resolve.h"
#include "common/config/textproto.h"
#include "common/config/validate.h"
#include "experiments/study/sweep/sweep_plan.h"
#include "experiments/study/tune/run_tuning.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"

namespace ringmaster {
namespace {

absl::StatusOr<RunSpec> ResolveValid(const RunSpec& spec) {
  RM_ASSIGN_OR_RETURN(RunSpec resolved, Resolve(spec, ResolveContext{}));
  RM_RETURN_IF_ERROR(Validate(resolved, TestNames()));
  return resolved;
}

RunInputs NoInputs(const RunSpec&) { return RunInputs(); }

TEST(Presets, AskAQuestionAndPlanCellsThatDiffer) {
  std::stringstream page;
  page << std::ifstream("docs/TUTORIAL.md").rdbuf();
  const std::string tutorial = page.str();
  int presets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("experiments/presets")) {
    const std::string path = entry.path();
    SweepSpec sweep;
    ASSERT_TRUE(LoadTextproto(path, "sweep", &sweep).ok()) << path;
    const absl::StatusOr<SweepCells> cells = ExpandCells(sweep);
    ASSERT_TRUE(cells.ok()) << path << ": " << cells.status();
    const auto plan = PlanSweep(sweep, *cells, entry.path().stem(), ResolveValid, NoInputs);
    ASSERT_TRUE(plan.ok()) << path << ": " << plan.status();
    if (sweep.has_tuning()) {
      const auto tuning = PlanTuning(sweep, *cells, ResolveValid, NoInputs);
      ASSERT_TRUE(tuning.ok()) << path << ": " << tuning.status();
      for (const uint64_t seed : plan->seeds)
        EXPECT_NE(seed, tuning->runs.seeds.front()) << path << ": values are judged where chosen";
    }
    EXPECT_NE(tutorial.find(absl::StrCat("`", entry.path().stem().string(), "`")),
              std::string::npos)
        << path << " is not in the tutorial's list";
    EXPECT_EQ(plan->question.back(), '?') << path;
    EXPECT_GE(plan->cells.size(), 3u) << path;
    // What is played without chance is the same in every trial; learning takes its time.
    const size_t trials = !sweep.has_simulate() ? 5u : sweep.simulate().learn() ? 3u : 1u;
    EXPECT_GE(plan->seeds.size(), trials) << path << ": an interval needs trials";
    ++presets;
  }
  EXPECT_EQ(presets, 22);
}

}  // namespace
}  // namespace ringmaster
