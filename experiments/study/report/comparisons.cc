#include "experiments/study/report/comparisons.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/arms.h"
#include "common/config/comparable.h"
#include "common/config/describe.h"
#include "common/config/run_inputs.h"
#include "experiments/study/report/fault_text.h"
#include "experiments/study/report/spec_fields.h"
#include "experiments/study/results/machines.h"
#include "experiments/study/results/summary.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

RunSpec WithoutSeed(RunSpec spec) {
  spec.mutable_training()->clear_seed();
  return spec;
}

// The same for runs of one spec on one machine, whatever they read.
std::string SpecKey(const RunRecord& record, int machine) {
  RunSpec spec = WithoutSeed(record.spec());
  spec.clear_output();
  return absl::StrCat(machine, "/", spec.SerializeAsString());
}

std::string TrialKey(const RunRecord& record, size_t ordinal) {
  if (record.has_sweep()) return absl::StrCat(record.sweep().sweep(), "/", record.sweep().trial());
  return absl::StrCat("#", ordinal);
}

std::string ArmName(const RunSpec& spec) {
  // A sweep calls a cell so where no axis names arms.
  if (!spec.name().empty() && spec.name() != "cell") return spec.name();
  return std::string(StrategyName(spec.strategy()));
}

size_t ArmOrder(const std::string& name) {
  const auto arms = Arms();
  return std::find_if(arms.begin(), arms.end(),
                      [&](const ArmInfo& arm) { return name == arm.name; }) -
         arms.begin();
}

// In whose seconds the run took place.
std::string TimeText(const RunRecord& record) {
  if (!record.has_simulation()) return "measured";
  return absl::StrCat("simulated, ", record.simulation().compute(), " a step",
                      record.simulation().learns() ? ", learning" : "");
}

struct CellGroup {
  ReportCell cell;
  int machine = 0;     // MachineNumbers
  std::string inputs;  // InputsKey, TimeText and FaultsKey
  const RunRecord* first = nullptr;
};

// The place of `record`'s group. A run that failed before it had read anything is of the last group
// of its spec.
size_t PlaceIn(const RunRecord& record, int machine,
               std::map<std::string, std::map<std::string, size_t>>* places,
               std::vector<CellGroup>* groups) {
  std::map<std::string, size_t>& of_spec = (*places)[SpecKey(record, machine)];
  const std::string inputs = absl::StrCat(InputsKey(record.spec(), record.inputs()), "/",
                                          TimeText(record), "/", FaultsKey(record));
  if (record.status() != "ok" && !record.has_inputs() && !of_spec.empty()) {
    return std::max_element(of_spec.begin(), of_spec.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->second;
  }
  const auto [place, is_new] = of_spec.try_emplace(inputs, groups->size());
  if (is_new) {
    CellGroup& group = groups->emplace_back();
    group.cell.spec = WithoutSeed(record.spec());
    group.cell.arm_name = ArmName(record.spec());
    group.machine = machine;
    group.inputs = inputs;
    group.first = &record;
  }
  return place->second;
}

std::string SweepTrial(const SweepMembership& sweep) {
  return absl::StrCat(sweep.sweep(), "\n", sweep.cell(), "\n", sweep.trial());
}

// Trials of sweeps that were finished.
std::set<std::string> FinishedTrials(const std::vector<RunRecord>& records) {
  std::set<std::string> trials;
  for (const RunRecord& record : records) {
    if (record.has_sweep() && record.status() == "ok") trials.insert(SweepTrial(record.sweep()));
  }
  return trials;
}

std::vector<CellGroup> GroupCells(const std::vector<RunRecord>& records, Comparisons* result) {
  std::vector<CellGroup> groups;
  std::map<std::string, std::map<std::string, size_t>> places;  // by spec, by inputs
  std::vector<const Machine*> machines;
  for (const RunRecord& record : records) machines.push_back(&record.machine());
  const std::vector<int> numbers = MachineNumbers(machines);
  const std::set<std::string> finished = FinishedTrials(records);
  std::set<std::pair<size_t, std::string>> counted;  // trials, by place
  for (size_t i = 0; i < records.size(); ++i) {
    const RunRecord& record = records[i];
    if (record.spec().has_evaluation()) {
      ++result->evaluations;
      continue;
    }
    if (record.stopped() && record.has_sweep() && finished.count(SweepTrial(record.sweep())) > 0)
      continue;
    const size_t place = PlaceIn(record, numbers[i], &places, &groups);
    ReportCell& cell = groups[place].cell;
    // Two programs may have made it, each for a store of its own. The first one counts, or a trial
    // would weigh more than the others.
    if (record.status() == "ok" && record.has_sweep() &&
        !counted.emplace(place, SweepTrial(record.sweep())).second) {
      ++result->repeated;
      continue;
    }
    if (record.status() != "ok") {
      cell.failed.push_back(&record);
      result->failed.push_back(&record);
    } else {
      cell.trials.push_back({TrialKey(record, cell.trials.size()), &record, Summarize(record)});
    }
  }
  return groups;
}

// What a comparison's runs have in common.
std::map<std::string, std::string> CommonFields(const CellGroup& group) {
  const RunSpec& spec = group.cell.spec;
  auto fields = SpecFields(SharedPart(spec));
  if (spec.data().name() != "synthetic") {
    const std::string& data = group.first->inputs().data().fingerprint();
    fields["data.contents"] = data.empty() ? "not noted" : data.substr(0, 8);
  }
  if (!spec.training().init_weights().empty()) {
    const std::string& weights = group.first->inputs().init_weights();
    fields["training.initial_weights"] = weights.empty() ? "not noted" : weights.substr(0, 8);
  }
  fields["time"] = TimeText(*group.first);
  const std::string faults = FaultsKey(*group.first);
  if (!faults.empty()) fields["faults"] = faults;
  fields["machine.host"] = absl::StrCat(group.first->machine().cpu(), " ",
                                        group.first->machine().host_hash().substr(0, 6));
  return fields;
}

void PlaceCells(std::vector<CellGroup> groups, std::vector<Comparison>* comparisons) {
  // Threads of one process may stand beside runs over any transport, so whoever has a transport of
  // its own comes first.
  std::stable_partition(groups.begin(), groups.end(), [](const CellGroup& group) {
    return group.cell.spec.strategy().launch() != THREADS;
  });
  std::vector<std::pair<int, std::string>> places;  // machine and inputs, by comparison
  for (CellGroup& group : groups) {
    const std::pair<int, std::string> own{group.machine, group.inputs};
    bool placed = false;
    for (size_t i = 0; i < comparisons->size(); ++i) {
      Comparison& comparison = (*comparisons)[i];
      if (places[i] != own) continue;
      if (!CheckComparable(comparison.cells.front().spec, group.cell.spec).ok()) continue;
      comparison.cells.push_back(group.cell);
      placed = true;
      if (group.cell.spec.strategy().launch() != THREADS) break;
    }
    if (placed) continue;
    Comparison& made = comparisons->emplace_back();
    made.fields = CommonFields(group);
    made.cells.push_back(std::move(group.cell));
    places.push_back(own);
  }
}

std::vector<std::string> DifferingFields(const std::vector<Comparison>& comparisons) {
  std::set<std::string> paths;
  for (const Comparison& comparison : comparisons) {
    for (const auto& [path, value] : comparison.fields) paths.insert(path);
  }
  const auto value_of = [](const Comparison& comparison, const std::string& path) {
    const auto found = comparison.fields.find(path);
    return found == comparison.fields.end() ? std::string() : found->second;
  };
  std::vector<std::string> differing;
  for (const std::string& path : paths) {
    const auto differs = [&](const Comparison& comparison) {
      return value_of(comparison, path) != value_of(comparisons.front(), path);
    };
    if (std::any_of(comparisons.begin(), comparisons.end(), differs)) differing.push_back(path);
  }
  // The number of workers is what a reader looks for first.
  std::stable_partition(differing.begin(), differing.end(),
                        [](const std::string& path) { return path == "training.workers"; });
  return differing;
}

int64_t Samples(const Comparison& comparison) {
  const RunSpec& spec = comparison.cells.front().spec;
  return spec.training().steps() * GlobalBatch(spec);
}

// Whether nothing but the number of workers tells the two apart. An epoch is fewer steps of more
// workers.
bool SameButForWorkers(const Comparison& a, const Comparison& b) {
  const int64_t batch =
      std::max(GlobalBatch(a.cells.front().spec), GlobalBatch(b.cells.front().spec));
  const bool same_samples = std::abs(Samples(a) - Samples(b)) < batch;
  const auto stripped = [&](std::map<std::string, std::string> fields) {
    fields.erase("training.workers");
    if (same_samples) {
      fields.erase("training.steps");
      fields.erase("optimizer.cosine_schedule.total_samples");
    }
    return fields;
  };
  return stripped(a.fields) == stripped(b.fields);
}

void NumberAndLabel(const std::vector<std::string>& differing,
                    std::vector<Comparison>* comparisons) {
  std::vector<const Comparison*> families;
  for (Comparison& comparison : *comparisons) {
    comparison.number = static_cast<int>(&comparison - comparisons->data()) + 1;
    const auto family = std::find_if(
        families.begin(), families.end(),
        [&](const Comparison* other) { return SameButForWorkers(*other, comparison); });
    comparison.family = static_cast<int>(family - families.begin()) + 1;
    if (family == families.end()) families.push_back(&comparison);
    std::vector<std::string> parts;
    for (const std::string& path : differing) {
      const auto found = comparison.fields.find(path);
      const std::string value = found == comparison.fields.end() ? "not set" : found->second;
      parts.push_back(absl::StrCat(ShortFieldName(path), " = ", value));
    }
    if (parts.empty()) parts.push_back(absl::StrCat("N = ", comparison.workers()));
    comparison.label = absl::StrJoin(parts, ", ");
  }
}

// The settings of strategy and codec, and the tuned fields, in which cells of one name, side by
// side somewhere, differ.
std::map<std::string, std::set<std::string>> AmbiguousNames(
    const std::vector<Comparison>& comparisons) {
  const auto fields_of = [](const ReportCell& cell) {
    RunSpec own;
    *own.mutable_strategy() = cell.spec.strategy();
    *own.mutable_codec() = cell.spec.codec();
    auto fields = SpecFields(own);
    const auto all = SpecFields(cell.spec);
    for (const TunedFieldSpec& tuned : cell.spec.tuning().fields()) {
      const auto found = all.find(tuned.field());
      if (found != all.end()) fields.insert(*found);
    }
    return fields;
  };
  std::map<std::string, std::set<std::string>> ambiguous;
  for (const Comparison& comparison : comparisons) {
    std::map<std::string, const ReportCell*> first;
    for (const ReportCell& cell : comparison.cells) {
      const ReportCell*& other = first.try_emplace(cell.arm_name, &cell).first->second;
      if (other == &cell) continue;
      const auto a = fields_of(*other), b = fields_of(cell);
      for (const auto& fields : {a, b}) {
        for (const auto& [path, value] : fields) {
          const auto in_a = a.find(path), in_b = b.find(path);
          if (in_a == a.end() || in_b == b.end() || in_a->second != in_b->second)
            ambiguous[cell.arm_name].insert(path);
        }
      }
    }
  }
  return ambiguous;
}

void LabelArms(std::vector<Comparison>* comparisons) {
  const auto ambiguous = AmbiguousNames(*comparisons);
  for (Comparison& comparison : *comparisons) {
    for (ReportCell& cell : comparison.cells) {
      cell.arm = cell.arm_name;
      const auto found = ambiguous.find(cell.arm_name);
      if (found == ambiguous.end()) continue;
      const auto fields = SpecFields(cell.spec);
      for (const std::string& path : found->second) {
        const auto value = fields.find(path);
        if (value != fields.end())
          absl::StrAppend(&cell.arm, " ", ShortFieldName(path), "=", value->second);
      }
    }
    std::stable_sort(comparison.cells.begin(), comparison.cells.end(),
                     [](const ReportCell& a, const ReportCell& b) {
                       return ArmOrder(a.arm_name) < ArmOrder(b.arm_name);
                     });
  }
}

// Efficiency, speed-up and contention, from the runs of the same key.
void AddComparativeFigures(Comparison* comparison) {
  std::map<std::string, std::vector<Trial*>> beside;
  for (ReportCell& cell : comparison->cells) {
    for (Trial& trial : cell.trials) beside[trial.key].push_back(&trial);
  }
  for (auto& [key, trials] : beside) {
    std::vector<RunSummary> summaries;
    for (const Trial* trial : trials) summaries.push_back(trial->summary);
    AddComparative(&summaries);
    for (size_t i = 0; i < trials.size(); ++i) trials[i]->summary = summaries[i];
  }
}

std::vector<std::string> AllArms(const std::vector<Comparison>& comparisons) {
  std::vector<std::tuple<size_t, std::string>> arms;
  for (const Comparison& comparison : comparisons) {
    for (const ReportCell& cell : comparison.cells) {
      const std::tuple<size_t, std::string> arm{ArmOrder(cell.arm_name), cell.arm};
      if (std::find(arms.begin(), arms.end(), arm) == arms.end()) arms.push_back(arm);
    }
  }
  std::stable_sort(arms.begin(), arms.end(),
                   [](const auto& a, const auto& b) { return std::get<0>(a) < std::get<0>(b); });
  std::vector<std::string> names;
  for (const auto& [order, name] : arms) names.push_back(name);
  return names;
}

}  // namespace

std::string TunedText(const ReportCell& cell) {
  if (cell.trials.empty()) return "";
  return absl::StrJoin(
      cell.trials.front().summary.tuned(), ", ", [](std::string* out, const TunedValue& tuned) {
        absl::StrAppend(out, ShortFieldName(tuned.field()), "=", tuned.value(),
                        tuned.at_edge() ? " (tuned, at its grid's edge)" : " (tuned)");
      });
}

size_t StoppedAmong(const std::vector<const RunRecord*>& failed) {
  return std::count_if(failed.begin(), failed.end(),
                       [](const RunRecord* record) { return record->stopped(); });
}

std::string FailedCounts(const std::vector<const RunRecord*>& failed) {
  const size_t stopped = StoppedAmong(failed), by_themselves = failed.size() - stopped;
  std::vector<std::string> counts;
  if (by_themselves > 0) counts.push_back(absl::StrCat(by_themselves, " failed"));
  if (stopped > 0) counts.push_back(absl::StrCat(stopped, " stopped"));
  return absl::StrJoin(counts, ", ");
}

std::string FailuresText(const std::vector<const RunRecord*>& failed) {
  const size_t stopped = StoppedAmong(failed), by_themselves = failed.size() - stopped;
  const auto runs = [](size_t count) { return absl::StrCat(count, count == 1 ? " run" : " runs"); };
  const char* const were = stopped == 1 ? " was stopped" : " were stopped";
  if (stopped == 0) return runs(by_themselves) + " failed";
  if (by_themselves == 0) return runs(stopped) + were;
  return absl::StrCat(runs(by_themselves), " failed, ", stopped, were);
}

Comparisons GroupRecords(const std::vector<RunRecord>& records) {
  Comparisons result;
  PlaceCells(GroupCells(records, &result), &result.all);
  if (result.all.empty()) return result;
  std::stable_sort(
      result.all.begin(), result.all.end(),
      [](const Comparison& a, const Comparison& b) { return a.workers() < b.workers(); });
  result.differing = DifferingFields(result.all);
  NumberAndLabel(result.differing, &result.all);
  LabelArms(&result.all);
  for (Comparison& comparison : result.all) AddComparativeFigures(&comparison);
  result.arms = AllArms(result.all);
  return result;
}

}  // namespace ringmaster
