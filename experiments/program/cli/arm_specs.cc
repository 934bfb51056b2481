#include "experiments/program/cli/arm_specs.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/config/comparable.h"
#include "common/config/load.h"
#include "experiments/program/cli/outputs.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/resolve_spec.h"

namespace ringmaster {

std::vector<std::string> DefaultArms() {
  std::vector<std::string> names;
  for (const ArmInfo& arm : Arms()) {
    if (arm.by_default) names.push_back(arm.name);
  }
  return names;
}

absl::StatusOr<RunSpec> LoadBase(const std::string& spec_file, const SpecFlags& flags) {
  RunSpec base;
  if (!spec_file.empty()) {
    RM_ASSIGN_OR_RETURN(base, LoadRunSpec(spec_file));
  }
  RM_RETURN_IF_ERROR(flags.Apply(&base));
  return base;
}

absl::StatusOr<std::vector<RunSpec>> MakeArms(const RunSpec& base,
                                              const std::vector<std::string>& arms,
                                              const std::vector<std::string>& sets) {
  std::vector<RunSpec> specs;
  for (const std::string& arm : arms) {
    RM_ASSIGN_OR_RETURN(RunSpec spec, MakeArm(std::string(absl::StripAsciiWhitespace(arm)), base));
    specs.push_back(std::move(spec));
  }
  RM_RETURN_IF_ERROR(Annotate(CheckTaken(sets, specs), "--set"));
  return specs;
}

absl::StatusOr<std::vector<RunSpec>> BuildSpecs(const RunSpec& base,
                                                const std::vector<std::string>& arms,
                                                const std::vector<std::string>& sets) {
  const Environment environment = ReadEnvironment();
  std::vector<RunSpec> specs = {base};
  if (!arms.empty()) {
    RM_ASSIGN_OR_RETURN(specs, MakeArms(base, arms, sets));
  }
  for (RunSpec& spec : specs) {
    absl::StatusOr<RunSpec> resolved = ResolveAndValidate(spec, environment.default_data_dir);
    if (!resolved.ok())
      return arms.empty() ? resolved.status() : Annotate(resolved.status(), "arm " + spec.name());
    spec = *std::move(resolved);
    RM_RETURN_IF_ERROR(CheckComparable(specs.front(), spec));
  }
  RM_RETURN_IF_ERROR(PrepareOutputs(&specs));
  return specs;
}

}  // namespace ringmaster
