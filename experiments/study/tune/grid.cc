#include "experiments/study/tune/grid.h"

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "experiments/study/sweep/range.h"

namespace ringmaster {
namespace {

constexpr char kForms[] = "expected FIELD=FROM:TO:xFACTOR, FIELD=FROM:TO:+STEP or FIELD=A,B,...";

absl::StatusOr<double> Number(absl::string_view text) {
  double number = 0;
  if (absl::SimpleAtod(text, &number)) return number;
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no number; ", kForms));
}

absl::StatusOr<std::vector<std::string>> ValuesOf(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  if (parts.size() == 1) {
    std::vector<std::string> values;
    for (const absl::string_view value : absl::StrSplit(text, ',', absl::SkipWhitespace()))
      values.emplace_back(absl::StripAsciiWhitespace(value));
    return values;
  }
  if (parts.size() != 3 || parts[2].empty() || (parts[2][0] != 'x' && parts[2][0] != '+'))
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no grid; ", kForms));
  NumberRange range;
  RM_ASSIGN_OR_RETURN(range.from, Number(parts[0]));
  RM_ASSIGN_OR_RETURN(range.to, Number(parts[1]));
  RM_ASSIGN_OR_RETURN(const double each, Number(parts[2].substr(1)));
  (parts[2][0] == 'x' ? range.factor : range.step) = each;
  return RangeValues(range);
}

bool Ascend(const std::vector<std::string>& values) {
  std::optional<double> last;
  for (const std::string& value : values) {
    double number = 0;
    if (!absl::SimpleAtod(value, &number) || (last.has_value() && !(number > *last))) return false;
    last = number;
  }
  return true;
}

}  // namespace

absl::StatusOr<GridField> MakeGridField(std::string field, std::vector<std::string> values) {
  if (values.size() < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a grid of ", values.size(),
        " values leaves nothing to choose; give two or more, or set the field to the one"));
  }
  const std::set<std::string> distinct(values.begin(), values.end());
  if (distinct.size() < values.size())
    return absl::InvalidArgumentError("a value stands twice in the grid; give each once");
  const bool is_ordered = Ascend(values);
  return GridField{std::move(field), std::move(values), is_ordered};
}

absl::StatusOr<GridField> ParseGridField(absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos || equals == 0) return absl::InvalidArgumentError(kForms);
  RM_ASSIGN_OR_RETURN(std::vector<std::string> values,
                      ValuesOf(absl::StripAsciiWhitespace(text.substr(equals + 1))));
  return MakeGridField(std::string(absl::StripAsciiWhitespace(text.substr(0, equals))),
                       std::move(values));
}

std::vector<GridPoint> GridPoints(absl::Span<const GridField> fields) {
  std::vector<GridPoint> points = {{}};
  for (const GridField& field : fields) {
    std::vector<GridPoint> longer;
    for (const GridPoint& point : points) {
      for (size_t value = 0; value < field.values.size(); ++value) {
        longer.push_back(point);
        longer.back().push_back(value);
      }
    }
    points = std::move(longer);
  }
  return points;
}

}  // namespace ringmaster
