#include "experiments/program/cli/command_line.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/known_words.h"
#include "common/config/override.h"

namespace ringmaster {
namespace {

// The commands that the words name, the program itself first.
using Chain = std::vector<Command>;

// "`ringmaster bench gemm`", or with `more` behind it in the quotes.
std::string CommandText(const Chain& chain, absl::string_view more = "") {
  const auto name = [](std::string* out, const Command& command) { *out += command.name(); };
  return absl::StrCat("`", absl::StrJoin(chain, " ", name), more, "`");
}

// The option of that name, of the innermost command that has it, as a list of one, or an empty
// list.
std::vector<Option> Find(const Chain& chain, const std::string& name) {
  for (auto command = chain.rbegin(); command != chain.rend(); ++command) {
    std::vector<Option> found = command->Find(name);
    if (!found.empty()) return found;
  }
  return {};
}

std::string NoSuchFlag(const Chain& chain, const std::string& flag) {
  const std::string word(absl::StripPrefix(absl::StripPrefix(flag, "-"), "-"));
  std::vector<std::string> known;
  for (auto command = chain.rbegin(); command != chain.rend(); ++command) {
    for (std::string& name : command->long_names()) known.push_back(std::move(name));
  }
  std::string meant;
  if (!Find(chain, "--set").empty()) {
    const std::string field = absl::StrReplaceAll(word, {{"-", "_"}});
    const std::string path = FieldCalled(field, [](const std::string&) { return true; });
    if (!path.empty()) meant = absl::StrCat("--set ", path, "=VALUE");
  }
  const std::string nearest = NearestWord(word, known);
  if (meant.empty() && !nearest.empty()) meant = absl::StrCat("--", nearest);
  return absl::StrCat(flag, ": no such flag of ", CommandText(chain), "; ",
                      meant.empty() ? "" : absl::StrCat("did you mean \"", meant, "\"? "),
                      CommandText(chain, " --help"), " lists them");
}

std::string NoSuchCommand(const Chain& chain, const std::string& word) {
  std::vector<std::string> known;
  for (const Command& command : chain.back().commands()) known.push_back(command.name());
  return absl::StrCat("\"", word, "\": no such ", chain.size() == 1 ? "command" : "benchmark", "; ",
                      DidYouMean(word, known), CommandText(chain, " --help"), " lists them");
}

// The first flag or command that there is not, as a message, or nothing; `chain` becomes the
// commands that there are.
std::string UnknownWord(const std::vector<std::string>& arguments, Chain* chain) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--") return "";
    const bool is_number = word.size() > 1 && (absl::ascii_isdigit(word[1]) || word[1] == '.');
    if (word.size() > 1 && word[0] == '-' && !is_number) {
      const size_t equals = word.find('=');
      const bool is_long = word[1] == '-';
      const std::string name = is_long ? word.substr(0, equals) : word.substr(0, 2);
      const std::vector<Option> option = Find(*chain, name);
      if (option.empty()) return NoSuchFlag(*chain, is_long ? name : word.substr(0, equals));
      const bool has_value = is_long ? equals != std::string::npos : word.size() > 2;
      if (!has_value && option.front().takes_value()) ++i;
      continue;
    }
    const std::vector<Command> commands = chain->back().commands();
    if (commands.empty()) continue;
    const auto named = std::find_if(commands.begin(), commands.end(),
                                    [&](const Command& command) { return command.name() == word; });
    if (named == commands.end()) return NoSuchCommand(*chain, word);
    chain->push_back(*named);
  }
  return "";
}

// The text before the last `mark` of `*text`, which becomes what is behind it; or nothing, and
// `*text` stays.
std::optional<absl::string_view> CutAtLast(absl::string_view mark, absl::string_view* text) {
  const size_t at = text->rfind(mark);
  if (at == absl::string_view::npos) return std::nullopt;
  const absl::string_view before = text->substr(0, at);
  text->remove_prefix(at + mark.size());
  return before;
}

// "--workers: Value 40 not in range 2 to 32", as everything else is said; other texts unchanged.
std::string RangeInOurWords(const std::string& text) {
  absl::string_view high = text;
  const auto before_high = CutAtLast(" to ", &high);
  if (!before_high) return text;
  absl::string_view low = *before_high;
  const auto before_low = CutAtLast(" not in range ", &low);
  if (!before_low) return text;
  absl::string_view value = *before_low;
  const auto name = CutAtLast(": Value ", &value);
  if (!name) return text;
  return absl::StrCat(*name, " ", value, ": expected ", low, " to ", high);
}

// "--out: 1 required TEXT missing", as everything else is said.
std::string MissingInOurWords(const std::string& text) {
  absl::string_view value = text;
  if (!absl::ConsumeSuffix(&value, " missing")) return text;
  const auto name = CutAtLast(": 1 required ", &value);
  return name ? absl::StrCat(*name, ": expected a value (", value, ")") : text;
}

}  // namespace

std::string CommandLineProblem(const Command& program, const std::vector<std::string>& arguments,
                               const Parsed& parsed) {
  Chain chain = {program};
  const std::string unknown = UnknownWord(arguments, &chain);
  if (!unknown.empty()) return unknown;
  std::string text = parsed.problem;
  // The parser lists them from the last to the first.
  const std::set<std::string> extras(parsed.extras.begin(), parsed.extras.end());
  const auto first = std::find_if(arguments.begin(), arguments.end(),
                                  [&](const auto& word) { return extras.count(word) > 0; });
  if (first != arguments.end())
    text = absl::StrCat("\"", *first, "\": ", CommandText(chain), " takes no such argument");
  return absl::StrCat(MissingInOurWords(RangeInOurWords(text)), "; ", CommandText(chain, " --help"),
                      " explains");
}

}  // namespace ringmaster
