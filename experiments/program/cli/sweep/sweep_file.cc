#include "experiments/program/cli/sweep/sweep_file.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/textproto.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_inputs.h"

namespace ringmaster {
namespace {

// Where a file is missing and none beside it has nearly its name: the preset that was probably
// meant.
absl::Status WithPreset(const absl::Status& status, const std::string& file) {
  if (!absl::IsNotFound(status) || absl::StrContains(status.message(), "did you mean"))
    return status;
  // In a checkout, and in a bundle.
  for (const char* folder : {"experiments/presets", "presets"}) {
    const std::string preset = NearbyTextproto(file, folder);
    if (!preset.empty())
      return absl::NotFoundError(absl::StrCat(status.message(), "; did you mean ", preset, "?"));
  }
  return status;
}

// Turns specs into ones that this machine can run, and reads each of their files once.
class Resolver {
 public:
  absl::StatusOr<RunSpec> Resolve(const RunSpec& spec) const {
    return ResolveAndValidate(spec, environment_.default_data_dir);
  }
  absl::StatusOr<RunInputs> Inputs(const RunSpec& spec) { return inputs_.Read(spec); }

  absl::Status Plan(LoadedSweep* sweep) {
    RM_ASSIGN_OR_RETURN(sweep->plan, PlanSweep(
                                         sweep->spec, sweep->cells, sweep->name,
                                         [this](const RunSpec& spec) { return Resolve(spec); },
                                         [this](const RunSpec& spec) { return Inputs(spec); }));
    return absl::OkStatus();
  }

  absl::Status PlanTuningOf(LoadedSweep* sweep) {
    RM_ASSIGN_OR_RETURN(sweep->tuning, PlanTuning(
                                           sweep->spec, sweep->cells,
                                           [this](const RunSpec& spec) { return Resolve(spec); },
                                           [this](const RunSpec& spec) { return Inputs(spec); }));
    return absl::OkStatus();
  }

 private:
  const Environment environment_ = ReadEnvironment();
  InputsReader inputs_;
};

}  // namespace

absl::StatusOr<LoadedSweep> LoadSweep(const std::string& file) {
  LoadedSweep sweep;
  RM_RETURN_IF_ERROR(WithPreset(LoadTextproto(file, "sweep", &sweep.spec), file));
  sweep.name = std::filesystem::path(file).stem().string();
  RM_ASSIGN_OR_RETURN(sweep.cells, ExpandCells(sweep.spec));
  Resolver resolver;
  // What is wrong with the sweep itself is found before anything is tuned for it.
  RM_RETURN_IF_ERROR(resolver.Plan(&sweep));
  if (sweep.spec.has_tuning()) RM_RETURN_IF_ERROR(resolver.PlanTuningOf(&sweep));
  return sweep;
}

absl::Status UseTuned(const std::vector<TunedArm>& tuned, LoadedSweep* sweep) {
  RM_CHECK(tuned.size() == sweep->cells.cells.size());
  for (size_t i = 0; i < tuned.size(); ++i) {
    sweep->cells.cells[i].spec = tuned[i].spec;
    sweep->cells.cells[i].tuning = tuned[i].trials;
  }
  return Resolver().Plan(sweep);
}

std::string TuningFolder(const std::string& store) { return store + "/tuning"; }

}  // namespace ringmaster
