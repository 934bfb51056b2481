#include "experiments/program/cli/parser/parser.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/known_words.h"

namespace ringmaster {

Option& Option::Required() {
  option_->required();
  return *this;
}

Option& Option::Hidden() { return Group(""); }

Option& Option::Group(const std::string& title) {
  option_->group(title);
  return *this;
}

Option& Option::Takes(const std::string& value) {
  option_->type_name(value);
  return *this;
}

Option& Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}

Option& Option::Commas() {
  option_->delimiter(',');
  return *this;
}

Option& Option::Excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

Option& Option::Between(int low, int high) {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option& Option::Between(double low, double high) {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option& Option::OneOf(const std::vector<std::string>& names) {
  const auto check = [names](std::string& given) {
    if (std::find(names.begin(), names.end(), given) != names.end()) return std::string();
    return absl::StrCat("\"", given, "\" is none of them; ", KnownWordsText(given, names));
  };
  option_->check(CLI::Validator(check, absl::StrCat("{", absl::StrJoin(names, ","), "}")));
  return *this;
}

Option& Option::Refuse(const std::function<std::string(const std::string& value)>& problem) {
  option_->check(problem);
  return *this;
}

std::string Option::name() const { return option_->get_name(); }

std::vector<std::string> Option::values() const { return option_->results(); }

bool Option::takes_value() const { return option_->get_items_expected_min() > 0; }

Command Command::AddCommand(const std::string& name, const std::string& description) {
  return Command(app_->add_subcommand(name, description));
}

void Command::SetFooter(const std::string& text) { app_->footer(text); }

template <typename T>
Option Command::AddOption(const std::string& names, T* value, const std::string& help) {
  return Option(app_->add_option(names, *value, help));
}
template Option Command::AddOption(const std::string&, std::string*, const std::string&);
template Option Command::AddOption(const std::string&, int32_t*, const std::string&);
template Option Command::AddOption(const std::string&, int64_t*, const std::string&);
template Option Command::AddOption(const std::string&, uint64_t*, const std::string&);
template Option Command::AddOption(const std::string&, double*, const std::string&);
template Option Command::AddOption(const std::string&, std::optional<int32_t>*, const std::string&);
template Option Command::AddOption(const std::string&, std::vector<std::string>*,
                                   const std::string&);
template Option Command::AddOption(const std::string&, std::vector<int64_t>*, const std::string&);

Option Command::AddOption(const std::string& names, const std::string& help) {
  return Option(app_->add_option(names, help));
}

void Command::AddFlag(const std::string& names, bool* value, const std::string& help) {
  app_->add_flag(names, *value, help);
}

void Command::OnChosen(const std::function<void()>& chosen) { app_->callback(chosen); }

void Command::RequireCommand(const std::string& what) {
  app_->callback([app = app_, what] {
    if (app->get_subcommands().empty()) throw CLI::RequiredError(what);
  });
}

std::string Command::name() const { return app_->get_name(); }

std::vector<Command> Command::commands() const {
  std::vector<Command> below;
  for (CLI::App* app : app_->get_subcommands([](CLI::App*) { return true; }))
    below.push_back(Command(app));
  return below;
}

std::vector<Option> Command::Find(const std::string& name) const {
  CLI::Option* option = app_->get_option_no_throw(name);
  return option == nullptr ? std::vector<Option>() : std::vector<Option>{Option(option)};
}

std::vector<std::string> Command::long_names() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_->get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  return names;
}

Program::Program(const std::string& name, const std::string& description,
                 const std::function<std::string()>& version)
    : app_(std::make_unique<CLI::App>(description, name)) {
  app_->require_subcommand(1);
  app_->fallthrough();  // --verbose may stand behind the command too
  app_->get_formatter()->column_width(34);
  app_->set_version_flag("--version", version);
}

Program::~Program() = default;

Command Program::command() const { return Command(app_.get()); }

Parsed Program::Parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app_->exit(error);
      return {Parsed::kAnswered, "", {}};
    }
    const bool has_extras = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    return {Parsed::kRefused, error.what(),
            has_extras ? app_->remaining(/*recurse=*/true) : std::vector<std::string>()};
  }
  return {};
}

}  // namespace ringmaster
