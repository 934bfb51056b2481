#include "experiments/study/tune/run_tuning.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/config/comparable.h"
#include "common/config/describe.h"
#include "common/config/override.h"
#include "experiments/study/tune/choice.h"

namespace ringmaster {
namespace {

// "learning_rate" becomes "optimizer.learning_rate".
std::string FullName(const std::string& name) {
  if (absl::StrContains(name, '.')) return name;
  const std::string path = FieldCalled(name, IsTunable);
  return path.empty() ? name : path;
}

// Of "training.steps=100" or "--set"'s like.
absl::string_view FieldOf(absl::string_view assignment) {
  return absl::StripAsciiWhitespace(assignment.substr(0, assignment.find('=')));
}

std::pair<std::string, std::string> SettingOf(const GridField& field, size_t value) {
  return {field.field, field.values[value]};
}

// `settings` and the field at one of its values.
Settings With(Settings settings, const GridField& field, size_t value) {
  settings.push_back(SettingOf(field, value));
  return settings;
}

Settings With(Settings settings, const std::vector<GridField>& fields, const GridPoint& point) {
  for (size_t i = 0; i < fields.size(); ++i) settings.push_back(SettingOf(fields[i], point[i]));
  return settings;
}

// What is wrong with a grid by itself: the values, and which field it is of. `taken`: fields that
// are set otherwise, by what `taken_by` says.
absl::Status CheckGrid(const GridField& field, const RunSpec& base,
                       const std::vector<std::string>& taken, absl::string_view taken_by) {
  for (size_t value = 0; value < field.values.size(); ++value) {
    RunSpec probe = base;
    RM_RETURN_IF_ERROR(SetField(absl::StrCat(field.field, "=", field.values[value]), &probe));
  }
  if (!IsTunable(field.field)) {
    return absl::InvalidArgumentError(
        absl::StrCat("arms with different values of ", field.field,
                     " would not learn the same thing from the same samples; tune a field of "
                     "optimizer, codec or strategy"));
  }
  if (std::find(taken.begin(), taken.end(), field.field) == taken.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field.field, " is set by ", taken_by, " too; leave one of the two out"));
}

absl::Status AddOnce(GridField field, std::vector<GridField>* fields) {
  for (const GridField& other : *fields) {
    if (other.field != field.field) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(field.field, " has a grid already; give it one"));
  }
  fields->push_back(std::move(field));
  return absl::OkStatus();
}

// `fields`, all of those that --tune names, each once.
absl::StatusOr<std::vector<GridField>> ReadGrids(const TuningRequest& request, const RunSpec& base,
                                                 const std::vector<std::string>& sets) {
  std::vector<std::string> taken;
  for (const std::string& set : sets) taken.emplace_back(FieldOf(set));
  std::vector<GridField> fields;
  for (const std::string& text : request.grids) {
    const std::string context = absl::StrCat("--tune ", text);
    absl::StatusOr<GridField> field = ParseGridField(text);
    if (!field.ok()) return Annotate(field.status(), context);
    field->field = FullName(field->field);
    RM_RETURN_IF_ERROR(Annotate(CheckGrid(*field, base, taken, "--set"), context));
    RM_RETURN_IF_ERROR(Annotate(AddOnce(*std::move(field), &fields), context));
  }
  return fields;
}

// The same of a sweep's tuning.
absl::StatusOr<std::vector<GridField>> ReadGrids(const SweepSpec& sweep, const SweepCells& cells) {
  std::vector<std::string> taken;
  for (const SweepCell& cell : cells.cells) {
    for (const auto& [axis, value] : cell.settings) taken.push_back(axis);
  }
  std::vector<GridField> fields;
  for (const TunedFieldSpec& tuned : sweep.tuning().fields()) {
    const std::string context = absl::StrCat("tuning of ", tuned.field());
    absl::StatusOr<GridField> field =
        MakeGridField(tuned.field(), {tuned.values().begin(), tuned.values().end()});
    if (!field.ok()) return Annotate(field.status(), context);
    RM_RETURN_IF_ERROR(Annotate(CheckGrid(*field, sweep.base(), taken, "an axis"), context));
    RM_RETURN_IF_ERROR(Annotate(AddOnce(*std::move(field), &fields), context));
  }
  if (fields.empty())
    return absl::InvalidArgumentError("tuning: it has no fields; name one with its values");
  return fields;
}

// Refuses what --set would refuse.
absl::Status CheckGridTaken(const RunSpec& base, const std::vector<Settings>& arms,
                            const GridField& field) {
  for (size_t value = 0; value < field.values.size(); ++value) {
    std::vector<RunSpec> made;
    for (const Settings& arm : arms) {
      RM_ASSIGN_OR_RETURN(made.emplace_back(), SpecWith(base, With(arm, field, value)));
    }
    RM_RETURN_IF_ERROR(CheckTaken({absl::StrCat(field.field, "=", field.values[value])}, made));
  }
  return absl::OkStatus();
}

// Whether the field makes a difference to the arm.
absl::StatusOr<bool> HasField(const RunSpec& base, const Settings& arm, const GridField& field) {
  RM_ASSIGN_OR_RETURN(const RunSpec a, SpecWith(base, With(arm, field, 0)));
  RM_ASSIGN_OR_RETURN(const RunSpec b, SpecWith(base, With(arm, field, 1)));
  return a.SerializeAsString() != b.SerializeAsString();
}

// Trains for the budget, and leaves nothing behind but its record.
void Shorten(int64_t budget_samples, RunSpec* spec) {
  spec->clear_tuning();
  spec->clear_output();
  TrainingSpec* training = spec->mutable_training();
  training->clear_epochs();
  training->set_evaluate_every_samples(0);
  training->set_steps(budget_samples);  // at least as many steps as there will be
}

class TuningPlanner {
 public:
  TuningPlanner(SpecResolver resolve, InputsSource inputs, TuningPlan* plan)
      : resolve_(resolve), inputs_(inputs), plan_(*plan) {}

  // Plans what `arm` is tried at, nothing where it learns nothing that counts.
  absl::Status Add(const Settings& arm, const std::vector<GridField>& fields) {
    ArmTuning& tuning = plan_.arms.emplace_back();
    tuning.settings = arm;
    for (const GridField& field : fields) {
      RM_ASSIGN_OR_RETURN(const bool has_field, HasField(plan_.base, arm, field));
      if (has_field) tuning.fields.push_back(field);
    }
    if (tuning.fields.empty()) return absl::OkStatus();
    for (const GridPoint& point : GridPoints(tuning.fields)) {
      absl::StatusOr<size_t> cell = Cell(arm, tuning.fields, point);
      if (!cell.ok()) return Annotate(cell.status(), SettingsText(arm));
      if (!IsScored(plan_.runs.cells[*cell].spec)) {
        plan_.runs.cells.resize(*cell);
        tuning.fields.clear();
        tuning.cells.clear();
        return absl::OkStatus();
      }
      tuning.cells.push_back(*cell);
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<size_t> Cell(const Settings& arm, const std::vector<GridField>& fields,
                              const GridPoint& point) {
    PlannedCell cell;
    cell.settings = With(arm, fields, point);
    RM_ASSIGN_OR_RETURN(RunSpec spec, SpecWith(plan_.base, cell.settings));
    const int64_t budget = spec.tuning().budget_samples();
    Shorten(budget, &spec);
    RM_ASSIGN_OR_RETURN(RunSpec resolved, resolve_(spec));
    // Only now the size of a step is known.
    const int64_t batch = GlobalBatch(resolved);
    if (budget < batch) {
      return absl::InvalidArgumentError(
          absl::StrCat("a budget of ", budget, " samples to tune with: one step takes ", batch,
                       " samples; give some hundred times as many"));
    }
    const int64_t steps = CeilDiv(budget, batch);
    spec.mutable_training()->set_steps(steps);
    spec.mutable_training()->set_warmup_steps(
        static_cast<int32_t>(std::min<int64_t>(resolved.training().warmup_steps(), steps - 1)));
    RM_ASSIGN_OR_RETURN(cell.spec, resolve_(spec));
    RM_ASSIGN_OR_RETURN(cell.inputs, inputs_(cell.spec));
    cell.id = CellId(cell.spec, cell.inputs, /*simulation=*/"");
    plan_.runs.cells.push_back(std::move(cell));
    return plan_.runs.cells.size() - 1;
  }

  SpecResolver resolve_;
  InputsSource inputs_;
  TuningPlan& plan_;
};

// The last word of the store on each of the plan's runs, by cell.
absl::StatusOr<std::map<std::string, RunRecord>> LastRecords(const TuningPlan& plan, Store& store) {
  RM_ASSIGN_OR_RETURN(const std::vector<RunRecord> records, store.Records());
  std::map<std::string, RunRecord> last;
  for (const RunRecord& record : records) {
    if (record.sweep().sweep() != plan.runs.name) continue;
    RunRecord& entry = last[record.sweep().cell()];
    if (entry.status() == "ok") continue;
    entry.set_status(record.status());
    *entry.mutable_summary() = record.summary();
  }
  return last;
}

TuningTrial TrialOf(const std::vector<GridField>& fields, const GridPoint& point,
                    const RunRecord& record) {
  TuningTrial trial;
  for (size_t i = 0; i < fields.size(); ++i) {
    TunedValue* tuned = trial.add_values();
    tuned->set_field(fields[i].field);
    tuned->set_value(fields[i].values[point[i]]);
  }
  trial.set_status(record.status());
  const RunSummary& summary = record.summary();
  if (summary.has_final_loss()) trial.set_final_loss(summary.final_loss());
  if (summary.has_test_accuracy()) trial.set_test_accuracy(summary.test_accuracy());
  return trial;
}

absl::StatusOr<TunedArm> ChooseFor(const TuningPlan& plan, const ArmTuning& tuning,
                                   const std::map<std::string, RunRecord>& records) {
  TunedArm arm;
  arm.settings = tuning.settings;
  const std::vector<GridPoint> points = GridPoints(tuning.fields);
  std::vector<PointLoss> losses;
  for (size_t i = 0; i < tuning.cells.size(); ++i) {
    const PlannedCell& cell = plan.runs.cells[tuning.cells[i]];
    const auto found = records.find(cell.id);
    const RunRecord& record = found == records.end() ? RunRecord() : found->second;
    if (record.status() != "ok" && !IsDivergence(record.status())) {
      return absl::UnavailableError(
          absl::StrCat("tuning, ", SettingsText(cell.settings), ": ",
                       record.status().empty() ? "it was not run" : record.status(),
                       "; nothing is chosen without it, the same command tries it again"));
    }
    const TuningTrial& trial = arm.trials.emplace_back(TrialOf(tuning.fields, points[i], record));
    losses.push_back(trial.has_final_loss() ? PointLoss(trial.final_loss()) : PointLoss());
  }
  if (tuning.fields.empty()) {
    RM_ASSIGN_OR_RETURN(arm.spec, SpecWith(plan.base, tuning.settings));
    return arm;
  }
  const std::optional<Choice> choice = ChooseBest(tuning.fields, losses);
  if (!choice.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("tuning, ", SettingsText(tuning.settings),
                     ": it diverged at every point of the grid; begin the grid lower"));
  }
  TuningTrial& chosen = arm.trials[choice->point];
  chosen.set_chosen(true);
  for (size_t i = 0; i < tuning.fields.size(); ++i)
    chosen.mutable_values(static_cast<int>(i))->set_at_edge(choice->at_edge[i]);
  RM_ASSIGN_OR_RETURN(
      arm.spec, SpecWith(plan.base, With(tuning.settings, tuning.fields, points[choice->point])));
  return arm;
}

// Plans the tuning of `arms`, each of which is the base with its settings.
absl::StatusOr<TuningPlan> PlanArms(const RunSpec& base, const std::vector<Settings>& arms,
                                    const std::vector<GridField>& fields, int64_t budget_samples,
                                    SpecResolver resolve, InputsSource inputs) {
  TuningPlan plan;
  plan.base = base;
  TuningSpec* tuning = plan.base.mutable_tuning();
  tuning->set_budget_samples(budget_samples);
  for (const GridField& field : fields) {
    RM_RETURN_IF_ERROR(CheckGridTaken(plan.base, arms, field));
    TunedFieldSpec* tuned = tuning->add_fields();
    tuned->set_field(field.field);
    tuned->mutable_values()->Add(field.values.begin(), field.values.end());
  }
  TuningPlanner planner(resolve, inputs, &plan);
  for (const Settings& arm : arms) RM_RETURN_IF_ERROR(planner.Add(arm, fields));
  if (plan.runs.cells.empty()) {
    return absl::InvalidArgumentError(
        "none of the arms learns anything that could be told apart (computing is emulated, "
        "or they exchange nothing); leave it out");
  }
  const uint64_t seed = plan.runs.cells.front().spec.training().seed();
  plan.runs.name = absl::StrCat("tuning, seed ", seed);
  plan.runs.seeds = {seed};
  for (size_t cell = 0; cell < plan.runs.cells.size(); ++cell) plan.runs.order.push_back({cell, 0});
  return plan;
}

}  // namespace

absl::StatusOr<TuningPlan> PlanTuning(const RunSpec& base, const std::vector<std::string>& arms,
                                      const std::vector<std::string>& sets,
                                      const TuningRequest& request, SpecResolver resolve,
                                      InputsSource inputs) {
  RM_ASSIGN_OR_RETURN(const std::vector<GridField> fields, ReadGrids(request, base, sets));
  std::vector<Settings> settings;
  for (const std::string& arm : arms)
    settings.push_back({{"arm", std::string(absl::StripAsciiWhitespace(arm))}});
  absl::StatusOr<TuningPlan> plan =
      PlanArms(base, settings, fields, request.budget_samples, resolve, inputs);
  if (!plan.ok()) return Annotate(plan.status(), "--tune");
  return plan;
}

absl::StatusOr<TuningPlan> PlanTuning(const SweepSpec& sweep, const SweepCells& cells,
                                      SpecResolver resolve, InputsSource inputs) {
  RM_ASSIGN_OR_RETURN(const std::vector<GridField> fields, ReadGrids(sweep, cells));
  std::vector<Settings> settings;
  for (const SweepCell& cell : cells.cells) settings.push_back(cell.settings);
  absl::StatusOr<TuningPlan> plan =
      PlanArms(sweep.base(), settings, fields, sweep.tuning().budget_samples(), resolve, inputs);
  if (!plan.ok()) return Annotate(plan.status(), "tuning");
  return plan;
}

absl::StatusOr<std::vector<TunedArm>> RunTuning(const TuningPlan& plan, Store& store,
                                                const SweepOptions& options,
                                                SweepWatcher& watcher) {
  RM_ASSIGN_OR_RETURN(const std::vector<SweepRun> stored, store.SweepRuns(plan.runs.name));
  SweepOptions own = options;
  const bool again = std::any_of(stored.begin(), stored.end(), [](const SweepRun& run) {
    return run.status != "ok" && !IsDivergence(run.status);
  });
  own.retry = again ? Retry::kAll : Retry::kStopped;
  // The best value is known when all have been tried, by whomever.
  own.shard.is_strict = false;
  own.waits_for_others = true;
  RM_RETURN_IF_ERROR(RunSweep(plan.runs, store, own, watcher));
  RM_ASSIGN_OR_RETURN(const auto records, LastRecords(plan, store));
  std::vector<TunedArm> arms;
  for (const ArmTuning& tuning : plan.arms) {
    RM_ASSIGN_OR_RETURN(arms.emplace_back(), ChooseFor(plan, tuning, records));
  }
  return arms;
}

std::vector<std::string> EdgeWarnings(const std::vector<TunedArm>& arms) {
  std::vector<std::string> warnings;
  for (const TunedArm& arm : arms) {
    for (const TuningTrial& trial : arm.trials) {
      for (const TunedValue& tuned : trial.values()) {
        if (!tuned.at_edge()) continue;
        warnings.push_back(absl::StrCat(SettingsText(arm.settings), ": the best ", tuned.field(),
                                        ", ", tuned.value(),
                                        ", lies on the edge of its grid, and a better one may lie "
                                        "beyond it; widen the grid"));
      }
    }
  }
  return warnings;
}

}  // namespace ringmaster
