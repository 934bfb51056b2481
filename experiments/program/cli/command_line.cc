#include "experiments/program/cli/command_line.h"

#include <algorithm>
#include <regex>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/known_words.h"
#include "google/protobuf/descriptor.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// The commands that the words name, the program itself first.
using Chain = std::vector<const CLI::App*>;

// "`ringmaster bench gemm`", or with `more` behind it in the quotes.
std::string CommandText(const Chain& chain, absl::string_view more = "") {
  const auto name = [](std::string* out, const CLI::App* app) { *out += app->get_name(); };
  return absl::StrCat("`", absl::StrJoin(chain, " ", name), more, "`");
}

// The path of the only field of that name in a run spec, or empty.
std::string FieldPath(const Descriptor& type, const std::string& name, const std::string& prefix,
                      int* found) {
  std::string path;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string here = absl::StrCat(prefix, prefix.empty() ? "" : ".", field.name());
    if (field.name() == name && ++*found == 1) path = here;
    if (field.message_type() == nullptr || field.is_repeated()) continue;
    const std::string below = FieldPath(*field.message_type(), name, here, found);
    if (path.empty()) path = below;
  }
  return *found == 1 ? path : "";
}

const CLI::Option* Find(const Chain& chain, const std::string& name) {
  for (auto app = chain.rbegin(); app != chain.rend(); ++app) {
    if (const CLI::Option* option = (*app)->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

std::string NoSuchFlag(const Chain& chain, const std::string& flag) {
  const std::string word(absl::StripPrefix(absl::StripPrefix(flag, "-"), "-"));
  std::vector<std::string> known;
  for (auto app = chain.rbegin(); app != chain.rend(); ++app) {
    for (const CLI::Option* option : (*app)->get_options()) {
      if (option->get_group().empty()) continue;  // hidden
      for (const std::string& name : option->get_lnames()) known.push_back(name);
    }
  }
  std::string meant;
  int found = 0;
  if (Find(chain, "--set") != nullptr) {
    const std::string field = absl::StrReplaceAll(word, {{"-", "_"}});
    const std::string path = FieldPath(*RunSpec::descriptor(), field, "", &found);
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
  for (const CLI::App* app : chain.back()->get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(app->get_name());
  }
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
      const CLI::Option* option = Find(*chain, name);
      if (option == nullptr) return NoSuchFlag(*chain, is_long ? name : word.substr(0, equals));
      const bool has_value = is_long ? equals != std::string::npos : word.size() > 2;
      if (!has_value && option->get_items_expected_min() > 0) ++i;
      continue;
    }
    const std::vector<const CLI::App*> commands =
        chain->back()->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty()) continue;
    const auto named = std::find_if(commands.begin(), commands.end(),
                                    [&](const CLI::App* app) { return app->get_name() == word; });
    if (named == commands.end()) return NoSuchCommand(*chain, word);
    chain->push_back(*named);
  }
  return "";
}

// What the parser says of a value that is missing or out of range, as everything else is said.
std::string InOurWords(std::string text) {
  static const auto* const kRange = new std::regex("^(.*): Value (.*) not in range (.*) to (.*)$");
  static const auto* const kMissing = new std::regex("^(.*): 1 required (.*) missing$");
  text = std::regex_replace(text, *kRange, "$1 $2: expected $3 to $4");
  return std::regex_replace(text, *kMissing, "$1: expected a value ($2)");
}

}  // namespace

std::string CommandLineProblem(const CLI::App& app, const std::vector<std::string>& arguments,
                               const CLI::ParseError& error) {
  Chain chain = {&app};
  const std::string unknown = UnknownWord(arguments, &chain);
  if (!unknown.empty()) return unknown;
  std::string text = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    // The parser lists them from the last to the first.
    const std::vector<std::string> unordered = app.remaining(/*recurse=*/true);
    const std::set<std::string> extras(unordered.begin(), unordered.end());
    const auto first = std::find_if(arguments.begin(), arguments.end(),
                                    [&](const auto& word) { return extras.count(word) > 0; });
    if (first != arguments.end())
      text = absl::StrCat("\"", *first, "\": ", CommandText(chain), " takes no such argument");
  }
  return absl::StrCat(InOurWords(text), "; ", CommandText(chain, " --help"), " explains");
}

CLI::Validator OneOf(const std::vector<std::string>& names) {
  const auto check = [names](std::string& given) {
    if (std::find(names.begin(), names.end(), given) != names.end()) return std::string();
    return absl::StrCat("\"", given, "\" is none of them; ", KnownWordsText(given, names));
  };
  return CLI::Validator(check, absl::StrCat("{", absl::StrJoin(names, ","), "}"));
}

}  // namespace ringmaster
