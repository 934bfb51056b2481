#include "experiments/study/results/columns.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

std::string SpacesBeside(absl::string_view text, int width) {
  return std::string(std::max(0, width - DisplayWidth(text)), ' ');
}

}  // namespace

int DisplayWidth(absl::string_view text) {
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string PadRight(absl::string_view text, int width) {
  return absl::StrCat(text, SpacesBeside(text, width));
}

std::string PadLeft(absl::string_view text, int width) {
  return absl::StrCat(SpacesBeside(text, width), text);
}

std::string AlignedRows(const std::vector<std::vector<std::string>>& rows) {
  std::vector<int> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, i == 0 ? PadRight(row[i], widths[i])
                                    : absl::StrCat("  ", PadLeft(row[i], widths[i])));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

}  // namespace ringmaster
