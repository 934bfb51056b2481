#ifndef RINGMASTER_COMMON_BASE_PROBLEMS_H_
#define RINGMASTER_COMMON_BASE_PROBLEMS_H_

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/base/known_words.h"

namespace ringmaster {

// Everything found wrong, a line each.
class Problems {
 public:
  // `rest` says what is expected and what to do.
  template <typename Value>
  void Add(absl::string_view field, const Value& value, absl::string_view rest) {
    lines_.push_back(absl::StrCat(field, " = ", value, ": ", rest));
  }
  void AddName(absl::string_view field, absl::string_view value, absl::string_view rest) {
    Add(field, absl::StrCat("\"", value, "\""), rest);
  }
  template <typename Number>
  void Range(absl::string_view field, Number value, Number low, Number high,
             absl::string_view remedy = "") {
    if (value >= low && value <= high) return;  // false for NaN
    Add(field, value,
        absl::StrCat("expected ", low, " to ", high, remedy.empty() ? "" : "; ", remedy));
  }
  void Known(absl::string_view field, absl::string_view kind, const std::string& value,
             const std::vector<std::string>& names) {
    if (std::find(names.begin(), names.end(), value) != names.end()) return;
    AddName(field, value, absl::StrCat("no such ", kind, "; ", KnownWordsText(value, names)));
  }
  absl::Status ToStatus() const {
    return lines_.empty() ? absl::OkStatus()
                          : absl::InvalidArgumentError(absl::StrJoin(lines_, "\n"));
  }

 private:
  std::vector<std::string> lines_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_PROBLEMS_H_
