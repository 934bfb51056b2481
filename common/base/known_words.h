#ifndef RINGMASTER_COMMON_BASE_KNOWN_WORDS_H_
#define RINGMASTER_COMMON_BASE_KNOWN_WORDS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ringmaster {

// The word of `known` that was probably meant by `word`: the one a few typing errors away (at most
// 3, and at most half of the word), else the first that begins or ends with it or that it begins
// with. Letters' case, "-" and "_" do not count. Empty: none is near. Pure, thread-safe.
std::string NearestWord(absl::string_view word, const std::vector<std::string>& known);

// `did you mean "X"? `, with X the NearestWord; empty where none is near. For the front of what
// else a message says.
std::string DidYouMean(absl::string_view word, const std::vector<std::string>& known);

// `did you mean "X"? known are A, B, C`: the end of every message about a name that is not one of
// `known`.
std::string KnownWordsText(absl::string_view word, const std::vector<std::string>& known);

// The names of a registry, whose entries have a field `name`.
template <typename Infos>
std::vector<std::string> RegistryNames(const Infos& infos) {
  std::vector<std::string> names;
  for (const auto& info : infos) names.emplace_back(info.name);
  return names;
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_KNOWN_WORDS_H_
