#include "experiments/study/sweep/sweep_plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/fingerprint.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/config/load.h"
#include "common/config/override.h"
#include "common/config/run_inputs.h"
#include "common/config/textproto.h"
#include "common/scheme/registry.h"

namespace ringmaster {
namespace {

constexpr int32_t kTrialsMax = 1000;

// What makes cells of settings and specs.
struct Planner {
  const SweepSpec& sweep;
  SpecResolver resolve;
  InputsSource inputs;

  absl::StatusOr<PlannedCell> Plan(const Settings& settings, const RunSpec& spec,
                                   const std::string& compute) const {
    const auto annotated = [&](const absl::Status& status) {
      return Annotate(
          status, absl::StrCat("cell ", settings.empty() ? "(the base)" : SettingsText(settings),
                               " cannot be run (mend it, or exclude it with a "
                               "reason)"));
    };
    absl::StatusOr<RunSpec> resolved = resolve(spec);
    if (!resolved.ok()) return annotated(resolved.status());
    absl::StatusOr<RunInputs> read = inputs(*resolved);
    if (!read.ok()) return annotated(read.status());
    PlannedCell cell;
    cell.settings = settings;
    cell.spec = *std::move(resolved);
    cell.inputs = *std::move(read);
    cell.compute = compute;
    cell.id = CellId(cell.spec, cell.inputs, SimulationKey(sweep, compute));
    return cell;
  }
};

// The index of the cell with that identity, or of the end.
size_t Find(const std::vector<PlannedCell>& cells, const std::string& id) {
  return std::find_if(cells.begin(), cells.end(),
                      [&](const PlannedCell& cell) { return cell.id == id; }) -
         cells.begin();
}

// What stays of a cell's settings when its strategy and codec are replaced by the solo arm's.
Settings CeilingSettings(const Settings& settings) {
  Settings kept = {{"arm", "solo"}};
  for (const auto& [field, value] : settings) {
    if (field == "arm" || absl::StartsWith(field, "strategy") || absl::StartsWith(field, "codec"))
      continue;
    kept.emplace_back(field, value);
  }
  return kept;
}

// The solo arm beside a cell. What was tuned has its grid's first value there: solo learns nothing
// that counts, and cells with unlike values have one ceiling.
absl::StatusOr<RunSpec> CeilingOf(RunSpec spec) {
  for (const TunedFieldSpec& tuned : spec.tuning().fields()) {
    RM_RETURN_IF_ERROR(SetField(absl::StrCat(tuned.field(), "=", tuned.values(0)), &spec));
  }
  return MakeArm("solo", spec);
}

absl::Status AddCeilings(const Planner& planner, std::vector<PlannedCell>* cells) {
  const size_t asked = cells->size();
  for (size_t i = 0; i < asked; ++i) {
    const RunSpec& own = (*cells)[i].spec;
    // Threads of one process are on a wire of their own; whoever compares them has processes beside
    // them.
    if (TraitsOf(own).yardstick == Yardstick::kSpeedUp || own.strategy().launch() == THREADS)
      continue;
    RM_ASSIGN_OR_RETURN(const RunSpec twin, CeilingOf(own));
    RM_ASSIGN_OR_RETURN(PlannedCell cell, planner.Plan(CeilingSettings((*cells)[i].settings), twin,
                                                       (*cells)[i].compute));
    const size_t place = Find(*cells, cell.id);
    (*cells)[i].solo = place;
    if (place < cells->size()) continue;
    cell.added = true;
    cells->push_back(std::move(cell));
    cells->back().solo = place;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint64_t>> SeedsOf(const SweepSpec& sweep, uint64_t base) {
  const int32_t trials = sweep.has_trials()      ? sweep.trials()
                         : sweep.seeds().empty() ? 3
                                                 : sweep.seeds_size();
  if (trials < 1 || trials > kTrialsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("trials = ", trials, ": expected 1 to ", kTrialsMax));
  }
  if (!sweep.seeds().empty() && sweep.seeds_size() != trials) {
    return absl::InvalidArgumentError(absl::StrCat("seeds: there are ", sweep.seeds_size(), " for ",
                                                   trials, " trials; expected one each, or none"));
  }
  std::vector<uint64_t> seeds(sweep.seeds().begin(), sweep.seeds().end());
  for (int32_t trial = 0; seeds.size() < static_cast<size_t>(trials); ++trial)
    seeds.push_back(base + trial);
  return seeds;
}

std::vector<PlannedRun> Shuffled(size_t cells, size_t trials, uint64_t seed) {
  std::vector<PlannedRun> order;
  for (size_t trial = 0; trial < trials; ++trial) {
    const size_t begin = order.size();
    for (size_t cell = 0; cell < cells; ++cell)
      order.push_back({cell, static_cast<int32_t>(trial)});
    Random random(MixSeed(seed, trial));
    for (size_t left = cells; left > 1; --left)
      std::swap(order[begin + left - 1], order[begin + random.Below(left)]);
  }
  return order;
}

}  // namespace

std::string SimulationKey(const SweepSpec& sweep, const std::string& compute) {
  if (!sweep.has_simulate()) return "";
  SimulationSpec simulation = sweep.simulate();
  simulation.set_compute(compute);
  return ToTextproto(simulation);
}

std::string CellId(RunSpec spec, const RunInputs& inputs, const std::string& simulation) {
  spec.clear_name();
  spec.clear_output();
  spec.mutable_training()->clear_seed();
  std::string text = SerializeRunSpec(spec);
  // Cells that read no files keep the identity that they have in older stores.
  const std::string key = InputsKey(spec, inputs);
  if (!key.empty()) absl::StrAppend(&text, "# ", key);
  if (!simulation.empty()) absl::StrAppend(&text, "# simulated ", simulation);
  return absl::StrFormat("%016x", Fingerprint64(text));
}

absl::StatusOr<SweepPlan> PlanSweep(const SweepSpec& sweep, const std::string& name,
                                    SpecResolver resolve, InputsSource inputs) {
  RM_ASSIGN_OR_RETURN(SweepCells cells, ExpandCells(sweep));
  return PlanSweep(sweep, std::move(cells), name, resolve, inputs);
}

absl::StatusOr<SweepPlan> PlanSweep(const SweepSpec& sweep, SweepCells cells,
                                    const std::string& name, SpecResolver resolve,
                                    InputsSource inputs) {
  const Planner planner{sweep, resolve, inputs};
  SweepPlan plan;
  plan.name = sweep.name().empty() ? name : sweep.name();
  plan.question = sweep.question();
  plan.excluded = std::move(cells.excluded);
  for (const SweepCell& cell : cells.cells) {
    RM_ASSIGN_OR_RETURN(PlannedCell planned, planner.Plan(cell.settings, cell.spec, cell.compute));
    planned.tuning = cell.tuning;
    const size_t same = Find(plan.cells, planned.id);
    if (same < plan.cells.size()) {
      plan.same.push_back({cell.settings, same});
    } else {
      plan.cells.push_back(std::move(planned));
    }
  }
  RM_RETURN_IF_ERROR(AddCeilings(planner, &plan.cells));
  RM_ASSIGN_OR_RETURN(plan.seeds, SeedsOf(sweep, plan.cells.front().spec.training().seed()));
  plan.order = Shuffled(plan.cells.size(), plan.seeds.size(),
                        sweep.has_order_seed() ? sweep.order_seed() : 1);
  return plan;
}

RunSpec SpecOfRun(const SweepPlan& plan, const PlannedRun& run) {
  RunSpec spec = plan.cells[run.cell].spec;
  spec.mutable_training()->set_seed(plan.seeds[run.trial]);
  return spec;
}

}  // namespace ringmaster
