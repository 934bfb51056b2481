#include "common/base/known_words.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ringmaster {
namespace {

constexpr size_t kErrorsMax = 3;
// Shorter beginnings and ends are those of too many words.
constexpr size_t kPartMin = 3;

std::string Plain(absl::string_view word) {
  std::string plain = absl::AsciiStrToLower(word);
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
}

// Letters to insert, to leave out, to replace, or neighbours to exchange.
size_t TypingErrors(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> errors(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        errors[i][j] = i + j;
        continue;
      }
      errors[i][j] = std::min({errors[i - 1][j - 1] + (a[i - 1] != b[j - 1]), errors[i - 1][j] + 1,
                               errors[i][j - 1] + 1});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) errors[i][j] = std::min(errors[i][j], errors[i - 2][j - 2] + 1);
    }
  }
  return errors[a.size()][b.size()];
}

}  // namespace

std::string NearestWord(absl::string_view word, const std::vector<std::string>& known) {
  const std::string given = Plain(word).substr(0, 100);  // what is longer is no word
  const std::string* nearest = nullptr;
  size_t least = std::min(kErrorsMax, std::max<size_t>(1, given.size() / 2)) + 1;
  for (const std::string& candidate : known) {
    const size_t errors = TypingErrors(given, Plain(candidate));
    if (errors >= least || errors >= candidate.size()) continue;
    least = errors;
    nearest = &candidate;
  }
  if (nearest != nullptr) return *nearest;
  for (const std::string& candidate : known) {
    const std::string plain = Plain(candidate);
    const bool is_part = given.size() >= kPartMin &&
                         (absl::StartsWith(plain, given) || absl::EndsWith(plain, given));
    if (is_part || (plain.size() >= kPartMin && absl::StartsWith(given, plain))) return candidate;
  }
  return "";
}

std::string DidYouMean(absl::string_view word, const std::vector<std::string>& known) {
  const std::string nearest = NearestWord(word, known);
  return nearest.empty() ? "" : absl::StrCat("did you mean \"", nearest, "\"? ");
}

std::string KnownWordsText(absl::string_view word, const std::vector<std::string>& known) {
  return absl::StrCat(DidYouMean(word, known), "known are ", absl::StrJoin(known, ", "));
}

}  // namespace ringmaster
