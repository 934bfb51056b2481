// A spec's text, with its defaults and checks.

#include "common/base/check.h"
#include "common/config/arms.h"
#include "common/config/load.h"
#include "common/config/resolve.h"
#include "common/config/validate.h"
#include "proto/run_spec.pb.h"
#include "tests/common/config/known_names.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const ArmInfo& arm : Arms()) {
    RunSpec base;
    base.mutable_training()->set_workers(3);
    base.mutable_training()->set_steps(7);
    const absl::StatusOr<RunSpec> spec = MakeArm(arm.name, base);
    RM_CHECK(spec.ok());
    seeds.push_back(SerializeRunSpec(*spec));
  }
  return seeds;
}

bool TryInput(absl::string_view input) {
  const absl::StatusOr<RunSpec> spec = ParseRunSpec(input, "input");
  if (!spec.ok()) return false;
  const std::string text = SerializeRunSpec(*spec);
  const absl::StatusOr<RunSpec> again = ParseRunSpec(text, "again");
  RM_CHECK(again.ok() && SerializeRunSpec(*again) == text);
  const absl::StatusOr<RunSpec> resolved = Resolve(*spec, {"/data", 60000, 1 << 20});
  return resolved.ok() && Validate(*resolved, TestNames()).ok();
}

}  // namespace ringmaster
