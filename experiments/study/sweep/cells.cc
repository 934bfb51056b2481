#include "experiments/study/sweep/cells.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/config/override.h"
#include "common/formats/json.h"
#include "experiments/study/simulate/compute_text.h"
#include "experiments/study/sweep/range.h"

namespace ringmaster {
namespace {

constexpr char kArm[] = "arm";
constexpr char kCompute[] = "compute";
constexpr size_t kCellsMax = 100000;

// An axis as what it does: each point sets one or more fields of the cells that meet `when`.
struct Axis {
  std::vector<Settings> points;
  std::vector<SettingSpec> when;
};

absl::Status Wrong(const std::string& axis, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("axis \"", axis, "\": ", what));
}

std::string NameOf(const AxisSpec& axis) {
  if (axis.zip().empty()) return axis.field();
  return absl::StrJoin(axis.zip(), "+",
                       [](std::string* out, const AxisSpec& member) { *out += member.field(); });
}

// What a step of the cell computes for in simulated time; empty: it is really run.
std::string ComputeOf(const SweepSpec& sweep, const Settings& settings) {
  if (!sweep.has_simulate()) return "";
  for (const auto& [field, value] : settings) {
    if (field == kCompute) return value;
  }
  return sweep.simulate().compute().empty() ? kComputeWhenNobodySays : sweep.simulate().compute();
}

absl::StatusOr<std::vector<std::string>> ValuesOf(const AxisSpec& axis) {
  if (axis.field().empty())
    return Wrong("", "it names no field; say field: \"training.workers\", or zip several");
  if (axis.field() == "training.seed")
    return Wrong(axis.field(), "every trial has a seed of its own; list them with seeds");
  if (!axis.values().empty() && axis.has_range())
    return Wrong(axis.field(), "it has values and a range; leave one out");
  std::vector<std::string> values(axis.values().begin(), axis.values().end());
  if (axis.has_range()) {
    absl::StatusOr<std::vector<std::string>> range = RangeValues(axis.range());
    if (!range.ok()) return Annotate(range.status(), absl::StrCat("axis \"", axis.field(), "\""));
    values = *std::move(range);
  }
  if (values.empty())
    return Wrong(axis.field(),
                 "it has no values, so there would be nothing to run; list them with values");
  return values;
}

// The points of the axis, in order.
absl::StatusOr<std::vector<Settings>> ListPoints(const AxisSpec& axis) {
  std::vector<Settings> points;
  if (axis.zip().empty()) {
    RM_ASSIGN_OR_RETURN(const std::vector<std::string> values, ValuesOf(axis));
    for (const std::string& value : values) points.push_back({{axis.field(), value}});
    return points;
  }
  if (!axis.field().empty() || !axis.values().empty() || axis.has_range()) {
    return Wrong(NameOf(axis),
                 "it zips other fields and has one of its own; move that into the zip");
  }
  for (const AxisSpec& member : axis.zip()) {
    if (!member.zip().empty()) return Wrong(NameOf(axis), "a zip within a zip");
    if (!member.when().empty())
      return Wrong(NameOf(axis),
                   "a field within a zip has no when of its own; give it to the axis");
    RM_ASSIGN_OR_RETURN(const std::vector<std::string> values, ValuesOf(member));
    if (points.empty()) points.resize(values.size());
    if (points.size() != values.size()) {
      return Wrong(NameOf(axis), absl::StrCat("fields that are zipped need as many values each; \"",
                                              member.field(), "\" has ", values.size(), ", \"",
                                              axis.zip(0).field(), "\" ", points.size()));
    }
    for (size_t i = 0; i < points.size(); ++i) points[i].emplace_back(member.field(), values[i]);
  }
  return points;
}

absl::StatusOr<std::vector<Settings>> PointsOf(const AxisSpec& axis) {
  RM_ASSIGN_OR_RETURN(std::vector<Settings> points, ListPoints(axis));
  const std::set<Settings> distinct(points.begin(), points.end());
  if (distinct.size() < points.size())
    return Wrong(NameOf(axis), "it has a value twice; use trials to repeat runs");
  return points;
}

// What was probably meant, among the fields of the axes and the values of the setting's own.
std::string Hint(const SettingSpec& setting, const std::vector<std::string>& known) {
  const std::string value = DidYouMean(setting.value(), known);
  return value.empty() ? DidYouMean(setting.field(), known) : value;
}

// Refuses a condition that no cell could meet: it would be a typing error.
absl::Status CheckSettings(const google::protobuf::RepeatedPtrField<SettingSpec>& settings,
                           const std::string& where, const std::vector<Axis>& axes) {
  for (const SettingSpec& setting : settings) {
    bool found = false;
    std::vector<std::string> known;
    for (const Axis& axis : axes) {
      for (const Settings& point : axis.points) {
        for (const auto& [field, value] : point)
          known.push_back(field == setting.field() ? value : field);
        found |= std::find(point.begin(), point.end(),
                           std::make_pair(setting.field(), setting.value())) != point.end();
      }
    }
    if (found) continue;
    return absl::InvalidArgumentError(absl::StrCat(where, "no axis sets ", setting.field(), "=",
                                                   setting.value(), "; ", Hint(setting, known),
                                                   "expected a field and a value of an axis"));
  }
  return absl::OkStatus();
}

// All axes, checked for fields that two of them set and for conditions that nothing meets.
absl::StatusOr<std::vector<Axis>> AxesOf(const SweepSpec& sweep) {
  std::vector<Axis> axes;
  std::set<std::string> fields;
  for (const AxisSpec& spec : sweep.axes()) {
    Axis axis;
    RM_ASSIGN_OR_RETURN(axis.points, PointsOf(spec));
    for (const auto& [field, value] : axis.points.front()) {
      if (field == kCompute && !sweep.has_simulate())
        return Wrong(field, "real runs compute for as long as they do; add simulate {}");
      if (!fields.insert(field).second) return Wrong(field, "two axes set it; keep one");
    }
    RM_RETURN_IF_ERROR(CheckSettings(
        spec.when(), absl::StrCat("axis \"", NameOf(spec), "\": when: before it "), axes));
    axis.when.assign(spec.when().begin(), spec.when().end());
    axes.push_back(std::move(axis));
  }
  return axes;
}

// Refuses an exclusion that could never take effect: it would run what was meant to be left out.
absl::Status CheckExclusions(const SweepSpec& sweep, const std::vector<Axis>& axes) {
  for (const ExclusionSpec& exclusion : sweep.exclude()) {
    if (exclusion.reason().empty()) {
      return absl::InvalidArgumentError(
          "exclude: it has no reason; say why these cells are not run, as in reason: \"...\"");
    }
    const std::string where = absl::StrCat("exclude \"", exclusion.reason(), "\": ");
    if (exclusion.when().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "it names no setting; add when { field: value: }"));
    }
    RM_RETURN_IF_ERROR(CheckSettings(exclusion.when(), where, axes));
  }
  return absl::OkStatus();
}

template <typename Conditions>
bool Meets(const Settings& settings, const Conditions& when) {
  return std::all_of(when.begin(), when.end(), [&](const SettingSpec& setting) {
    return std::find(settings.begin(), settings.end(),
                     std::make_pair(setting.field(), setting.value())) != settings.end();
  });
}

const ExclusionSpec* ExclusionOf(const SweepSpec& sweep, const Settings& settings) {
  for (const ExclusionSpec& exclusion : sweep.exclude()) {
    if (Meets(settings, exclusion.when())) return &exclusion;
  }
  return nullptr;
}

// The last axis changes fastest.
absl::StatusOr<std::vector<Settings>> Combinations(const std::vector<Axis>& axes) {
  std::vector<Settings> combinations = {{}};
  for (const Axis& axis : axes) {
    std::vector<Settings> longer;
    for (const Settings& settings : combinations) {
      if (!Meets(settings, axis.when)) {
        longer.push_back(settings);
        continue;
      }
      for (const Settings& point : axis.points) {
        longer.push_back(settings);
        longer.back().insert(longer.back().end(), point.begin(), point.end());
      }
      if (longer.size() > kCellsMax) {
        return absl::InvalidArgumentError(
            absl::StrCat("the axes have more than ", kCellsMax, " combinations; split the sweep"));
      }
    }
    combinations = std::move(longer);
  }
  return combinations;
}

}  // namespace

absl::StatusOr<RunSpec> SpecWith(const RunSpec& base, const Settings& settings) {
  RunSpec spec = base;
  std::string arm;
  std::vector<std::string> assignments;
  for (const auto& [field, value] : settings) {
    if (field == kArm) {
      arm = value;
      continue;
    }
    if (field == kCompute) continue;
    assignments.push_back(absl::StrCat(field, "=", value));
    RM_RETURN_IF_ERROR(Annotate(SetField(assignments.back(), &spec),
                                absl::StrCat("\"", field, "\", value \"", value, "\"")));
  }
  if (arm.empty()) {
    if (spec.name().empty()) spec.set_name("cell");
    return spec;
  }
  RM_ASSIGN_OR_RETURN(RunSpec made, MakeArm(arm, spec));
  // A field of another scheme does no harm beside other cells; equal cells are run once.
  for (const std::string& assignment : assignments)
    RM_RETURN_IF_ERROR(CheckUndecided(assignment, made));
  return made;
}

std::string SettingsText(const Settings& settings) {
  return absl::StrJoin(settings, " ", absl::PairFormatter("="));
}

std::string SettingsJson(const Settings& settings) {
  Json json = Json::Object();
  for (const auto& [field, value] : settings) json[field] = value;
  return json.Dump();
}

absl::StatusOr<std::vector<std::string>> RangeValues(const RangeSpec& range) {
  NumberRange numbers;
  numbers.from = range.from();
  numbers.to = range.to();
  if (range.has_step()) numbers.step = range.step();
  if (range.has_factor()) numbers.factor = range.factor();
  return RangeValues(numbers);
}

absl::StatusOr<SweepCells> ExpandCells(const SweepSpec& sweep) {
  if (sweep.has_simulate() && sweep.has_tuning()) {
    return absl::InvalidArgumentError(
        "simulate and tuning exclude each other: what is tuned is tuned on real runs; tune first, "
        "and set the values found");
  }
  RM_ASSIGN_OR_RETURN(const std::vector<Axis> axes, AxesOf(sweep));
  RM_RETURN_IF_ERROR(CheckExclusions(sweep, axes));
  RM_ASSIGN_OR_RETURN(std::vector<Settings> combinations, Combinations(axes));
  SweepCells cells;
  for (Settings& settings : combinations) {
    if (const ExclusionSpec* exclusion = ExclusionOf(sweep, settings)) {
      cells.excluded.push_back({std::move(settings), exclusion->reason()});
      continue;
    }
    absl::StatusOr<RunSpec> spec = SpecWith(sweep.base(), settings);
    if (!spec.ok()) {
      return absl::Status(spec.status().code(), absl::StrCat("axis ", spec.status().message()));
    }
    std::string compute = ComputeOf(sweep, settings);
    cells.cells.push_back({std::move(settings), *std::move(spec), {}, std::move(compute)});
  }
  if (cells.cells.empty())
    return absl::InvalidArgumentError("every cell is excluded: there is nothing to run");
  return cells;
}

}  // namespace ringmaster
