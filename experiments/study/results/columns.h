#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_COLUMNS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_COLUMNS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ringmaster {

// Columns that UTF-8 text takes on a terminal: code points, as all we print are one column wide.
// Pure.
int DisplayWidth(absl::string_view text);

// `text` with spaces behind it, or before it, up to `width` columns; longer text stays as it is.
// Pure.
std::string PadRight(absl::string_view text, int width);
std::string PadLeft(absl::string_view text, int width);

// Columns padded to their widest cell, two spaces between; the first column to the left, the others
// to the right. A line each. Pure.
std::string AlignedRows(const std::vector<std::vector<std::string>>& rows);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_COLUMNS_H_
