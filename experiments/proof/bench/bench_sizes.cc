#include "experiments/proof/bench/bench_sizes.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr std::pair<const char*, int64_t> kUnits[] = {
    {"GiB", int64_t{1} << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}};
constexpr int64_t kDefaultFactor = 4;
constexpr int64_t kFactorMax = 1024;

absl::StatusOr<int64_t> ParseSize(absl::string_view text) {
  absl::string_view digits = absl::StripAsciiWhitespace(text);
  int64_t unit = 1;
  for (const auto& [name, bytes] : kUnits) {
    if (!absl::EndsWithIgnoreCase(digits, name)) continue;
    digits.remove_suffix(absl::string_view(name).size());
    unit = bytes;
    break;
  }
  int64_t number = 0;
  if (!absl::SimpleAtoi(digits, &number)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "size \"", text, "\": expected a number of bytes such as 4096, 64KiB or 1MiB"));
  }
  if (number < 1 || number > kBenchBytesMax / unit || number * unit < 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("size \"", text, "\": expected 4 bytes to ", FormatSize(kBenchBytesMax)));
  }
  if (number * unit % 4 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("size \"", text, "\" is ", number * unit,
                     " bytes: expected a multiple of 4, the size of a float"));
  }
  return number * unit;
}

// Appends what "A", "A:B" or "A:B:xF" stands for.
absl::Status AppendSizes(absl::string_view text, std::vector<int64_t>* sizes) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  RM_ASSIGN_OR_RETURN(const int64_t first, ParseSize(parts[0]));
  if (parts.size() == 1) {
    sizes->push_back(first);
    return absl::OkStatus();
  }
  RM_ASSIGN_OR_RETURN(const int64_t last, ParseSize(parts[1]));
  int64_t factor = kDefaultFactor;
  if (parts.size() > 2) {
    absl::string_view digits = absl::StripAsciiWhitespace(parts[2]);
    if (parts.size() > 3 || !absl::ConsumePrefix(&digits, "x") ||
        !absl::SimpleAtoi(digits, &factor) || factor < 2 || factor > kFactorMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("sizes \"", text, "\": expected FIRST:LAST or FIRST:LAST:xF, F from 2 to ",
                       kFactorMax, ", such as 4KiB:64MiB:x2"));
    }
  }
  if (first > last) {
    return absl::InvalidArgumentError(absl::StrCat(
        "sizes \"", text, "\": the range ends before it begins; give the smaller size first"));
  }
  for (int64_t size = first; size <= last; size *= factor) sizes->push_back(size);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> ParseSizes(absl::string_view text) {
  std::vector<int64_t> sizes;
  for (const absl::string_view part : absl::StrSplit(text, ','))
    RM_RETURN_IF_ERROR(AppendSizes(part, &sizes));
  std::vector<int64_t> sorted = sizes;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("sizes \"", text, "\": ", FormatSize(*twice), " is named twice"));
  }
  return sizes;
}

std::string FormatSize(int64_t bytes) {
  for (const auto& [name, unit] : kUnits) {
    if (bytes >= unit && bytes % unit == 0) return absl::StrCat(bytes / unit, " ", name);
  }
  return absl::StrCat(bytes, " B");
}

}  // namespace ringmaster
