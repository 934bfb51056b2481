#include "experiments/proof/explain/ranks_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ringmaster {
namespace {

std::string Joined(const std::vector<int32_t>& ranks, absl::string_view between,
                   absl::string_view through) {
  std::string text;
  for (size_t i = 0; i < ranks.size();) {
    size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    if (last < i + 2) last = i;
    absl::StrAppend(&text, text.empty() ? "" : between, ranks[i]);
    if (last > i) absl::StrAppend(&text, through, ranks[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace

std::string RanksText(const std::vector<int32_t>& ranks) { return Joined(ranks, ", ", "-"); }
std::string SumText(const std::vector<int32_t>& ranks) { return Joined(ranks, "+", ".."); }

}  // namespace ringmaster
