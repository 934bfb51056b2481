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

}  // namespace ringmaster
