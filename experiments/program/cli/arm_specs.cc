#include "experiments/program/cli/arm_specs.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/config/arms.h"
#include "common/config/comparable.h"
#include "common/config/load.h"
#include "common/log/log.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/programs/ask_program.h"
#include "experiments/program/run/resolve_spec.h"

namespace ringmaster {
namespace {

// The arm says so itself, or its codec is summed in rounds, for which buckets may not cut tensors.
bool NeedsWholeTensors(const RunSpec& spec) {
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  return spec.training().bucket_layout() == TrainingSpec::WHOLE_TENSORS ||
         (codec.has_value() && codec->in_rounds);
}

}  // namespace

std::vector<std::string> DefaultArms() {
  std::vector<std::string> names;
  for (const ArmInfo& arm : Arms()) {
    if (arm.by_default) names.push_back(arm.name);
  }
  return names;
}

absl::StatusOr<RunSpec> LoadBase(const std::string& spec_file, const std::string& out,
                                 const SpecFlags& flags) {
  RunSpec base;
  if (!spec_file.empty()) {
    RM_ASSIGN_OR_RETURN(base, LoadRunSpec(spec_file));
    RM_RETURN_IF_ERROR(CheckOutputsWithin(base, out));
  }
  RM_RETURN_IF_ERROR(flags.Apply(&base));
  if (!base.model().program().command().empty()) RM_RETURN_IF_ERROR(CompleteProgram(out, &base));
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
  // What one arm works on is cut alike in all.
  if (std::any_of(specs.begin(), specs.end(), NeedsWholeTensors)) {
    for (RunSpec& spec : specs)
      spec.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  }
  return specs;
}

absl::StatusOr<std::vector<RunSpec>> BuildSpecs(const RunSpec& base,
                                                const std::vector<std::string>& arms,
                                                const std::vector<std::string>& sets) {
  if (!arms.empty()) {
    RM_ASSIGN_OR_RETURN(std::vector<RunSpec> specs, MakeArms(base, arms, sets));
    return ResolveAll(std::move(specs));
  }
  RM_ASSIGN_OR_RETURN(RunSpec resolved,
                      ResolveAndValidate(base, ReadEnvironment().default_data_dir));
  return std::vector<RunSpec>{std::move(resolved)};
}

absl::StatusOr<std::vector<RunSpec>> ResolveAll(std::vector<RunSpec> arms) {
  const Environment environment = ReadEnvironment();
  for (RunSpec& spec : arms) {
    absl::StatusOr<RunSpec> resolved = ResolveAndValidate(spec, environment.default_data_dir);
    if (!resolved.ok()) return Annotate(resolved.status(), "arm " + spec.name());
    spec = *std::move(resolved);
    RM_RETURN_IF_ERROR(CheckComparable(arms.front(), spec));
  }
  return arms;
}

int ShowSpecs(const absl::StatusOr<std::vector<RunSpec>>& specs) {
  if (!specs.ok()) {
    Log(LogLevel::kError, specs.status().message());
    return kExitUserError;
  }
  for (const RunSpec& spec : *specs)
    std::printf("# %s\n%s\n", spec.name().c_str(), SerializeRunSpec(spec).c_str());
  return kExitOk;
}

}  // namespace ringmaster
