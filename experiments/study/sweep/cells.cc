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
#include "experiments/study/sweep/range.h"

namespace ringmaster {
namespace {

constexpr char kArm[] = "arm";
constexpr size_t kCellsMax = 100000;

// An axis as what it does: each point sets one or more fields.
using Axis = std::vector<Settings>;

absl::Status Wrong(const std::string& axis, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("axis \"", axis, "\": ", what));
}

std::string NameOf(const AxisSpec& axis) {
  if (axis.zip().empty()) return axis.field();
  return absl::StrJoin(axis.zip(), "+",
                       [](std::string* out, const AxisSpec& member) { *out += member.field(); });
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
  const std::set<std::string> distinct(values.begin(), values.end());
  if (distinct.size() < values.size())
    return Wrong(axis.field(), "it has a value twice; use trials to repeat runs");
  return values;
}

absl::StatusOr<Axis> PointsOf(const AxisSpec& axis) {
  Axis points;
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

// All axes, checked for fields that two of them set.
absl::StatusOr<std::vector<Axis>> AxesOf(const SweepSpec& sweep) {
  std::vector<Axis> axes;
  std::set<std::string> fields;
  for (const AxisSpec& spec : sweep.axes()) {
    RM_ASSIGN_OR_RETURN(Axis axis, PointsOf(spec));
    for (const auto& [field, value] : axis.front()) {
      if (!fields.insert(field).second) return Wrong(field, "two axes set it; keep one");
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

// What was probably meant, among the fields of the axes and the values of the setting's own.
std::string Hint(const SettingSpec& setting, const std::vector<std::string>& known) {
  const std::string value = DidYouMean(setting.value(), known);
  return value.empty() ? DidYouMean(setting.field(), known) : value;
}

// Refuses an exclusion that could never take effect: a typing error would run what was meant to be
// left out.
absl::Status CheckExclusions(const SweepSpec& sweep, const std::vector<Axis>& axes) {
  for (const ExclusionSpec& exclusion : sweep.exclude()) {
    if (exclusion.reason().empty()) {
      return absl::InvalidArgumentError(
          "exclude: it has no reason; say why these cells are not run, as in reason: \"...\"");
    }
    if (exclusion.when().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "exclude \"", exclusion.reason(), "\": it names no setting; add when { field: value: }"));
    }
    for (const SettingSpec& setting : exclusion.when()) {
      bool found = false;
      std::vector<std::string> known;
      for (const Axis& axis : axes) {
        for (const Settings& point : axis) {
          for (const auto& [field, value] : point)
            known.push_back(field == setting.field() ? value : field);
          found |= std::find(point.begin(), point.end(),
                             std::make_pair(setting.field(), setting.value())) != point.end();
        }
      }
      if (found) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "exclude \"", exclusion.reason(), "\": no axis sets ", setting.field(), "=",
          setting.value(), "; ", Hint(setting, known), "expected a field and a value of an axis"));
    }
  }
  return absl::OkStatus();
}

const ExclusionSpec* ExclusionOf(const SweepSpec& sweep, const Settings& settings) {
  for (const ExclusionSpec& exclusion : sweep.exclude()) {
    const bool applies = std::all_of(
        exclusion.when().begin(), exclusion.when().end(), [&](const SettingSpec& setting) {
          return std::find(settings.begin(), settings.end(),
                           std::make_pair(setting.field(), setting.value())) != settings.end();
        });
    if (applies) return &exclusion;
  }
  return nullptr;
}

absl::StatusOr<RunSpec> SpecOf(const RunSpec& base, const Settings& settings) {
  RunSpec spec = base;
  std::string arm;
  std::vector<std::string> assignments;
  for (const auto& [field, value] : settings) {
    if (field == kArm) {
      arm = value;
      continue;
    }
    assignments.push_back(absl::StrCat(field, "=", value));
    const absl::Status set = SetField(assignments.back(), &spec);
    if (!set.ok())
      return Annotate(set, absl::StrCat("axis \"", field, "\", value \"", value, "\""));
  }
  if (arm.empty()) {
    if (spec.name().empty()) spec.set_name("cell");
    return spec;
  }
  absl::StatusOr<RunSpec> made = MakeArm(arm, spec);
  if (!made.ok()) return Annotate(made.status(), "axis");
  // A field of another scheme does no harm beside other cells; equal cells are refused.
  for (const std::string& assignment : assignments)
    RM_RETURN_IF_ERROR(CheckUndecided(assignment, *made));
  return made;
}

}  // namespace

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
  RM_ASSIGN_OR_RETURN(const std::vector<Axis> axes, AxesOf(sweep));
  RM_RETURN_IF_ERROR(CheckExclusions(sweep, axes));
  size_t count = 1;
  for (const Axis& axis : axes) {
    count *= axis.size();
    if (count > kCellsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("the axes have more than ", kCellsMax, " combinations; split the sweep"));
    }
  }
  SweepCells cells;
  for (size_t index = 0; index < count; ++index) {
    Settings settings;
    size_t rest = index, block = count;
    for (const Axis& axis : axes) {
      block /= axis.size();
      const Settings& point = axis[rest / block];
      rest %= block;
      settings.insert(settings.end(), point.begin(), point.end());
    }
    if (const ExclusionSpec* exclusion = ExclusionOf(sweep, settings)) {
      cells.excluded.push_back({std::move(settings), exclusion->reason()});
      continue;
    }
    RM_ASSIGN_OR_RETURN(RunSpec spec, SpecOf(sweep.base(), settings));
    cells.cells.push_back({std::move(settings), std::move(spec)});
  }
  if (cells.cells.empty())
    return absl::InvalidArgumentError("every cell is excluded: there is nothing to run");
  return cells;
}

}  // namespace ringmaster
