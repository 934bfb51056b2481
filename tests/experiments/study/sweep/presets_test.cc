#include <filesystem>
#include <string>

#include "common/base/status_macros.h"
#include "common/config/resolve.h"
#include "common/config/textproto.h"
#include "common/config/validate.h"
#include "experiments/study/sweep/sweep_plan.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"

namespace ringmaster {
namespace {

TEST(Presets, AskAQuestionAndPlanCellsThatDiffer) {
  int presets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("experiments/presets")) {
    const std::string path = entry.path();
    SweepSpec sweep;
    ASSERT_TRUE(LoadTextproto(path, "sweep", &sweep).ok()) << path;
    const auto plan = PlanSweep(
        sweep, entry.path().stem(),
        [](const RunSpec& spec) -> absl::StatusOr<RunSpec> {
          RM_ASSIGN_OR_RETURN(RunSpec resolved, Resolve(spec, ResolveContext{}));
          RM_RETURN_IF_ERROR(Validate(resolved, TestNames()));
          return resolved;
        },
        [](const RunSpec&) { return RunInputs(); });
    ASSERT_TRUE(plan.ok()) << path << ": " << plan.status();
    EXPECT_EQ(plan->question.back(), '?') << path;
    EXPECT_GE(plan->cells.size(), 3u) << path;
    EXPECT_GE(plan->seeds.size(), 5u) << path << ": an interval needs trials";
    ++presets;
  }
  EXPECT_EQ(presets, 8);
}

}  // namespace
}  // namespace ringmaster
