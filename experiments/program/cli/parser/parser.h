#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PARSER_PARSER_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PARSER_PARSER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

// CLI11 behind an interface: its header alone takes seconds to compile, so one file includes it.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace ringmaster {

// An option of a command: a flag, or an argument by its place. A handle, copied freely; the Program
// that it belongs to outlives it. Every setter returns the option itself.
class Option {
 public:
  Option& Required();
  Option& Hidden();                          // --help does not show it
  Option& Group(const std::string& title);   // heading in --help
  Option& Takes(const std::string& value);   // what stands behind it in --help, such as "FILE"
  Option& ShowDefault();                     // --help shows what the variable holds now
  Option& Commas();                          // one word gives several values, comma-separated
  Option& Excludes(const Option& other);     // both together are refused
  Option& Between(int low, int high);        // both ends are allowed
  Option& Between(double low, double high);  // both ends are allowed
  // Refuses a value that is not one of `names`, with the nearest; --help shows them.
  Option& OneOf(const std::vector<std::string>& names);
  // Refuses a value for which `problem` returns a text, with that text.
  Option& Refuse(const std::function<std::string(const std::string& value)>& problem);

  std::string name() const;
  // What the command line gave, in its order; empty before Program::Parse.
  std::vector<std::string> values() const;
  // Whether the word behind it belongs to it.
  bool takes_value() const;

 private:
  friend class Command;
  explicit Option(CLI::Option* option) : option_(option) {}

  CLI::Option* option_;
};

// A command: the program itself, or one below it. A handle, as Option is.
class Command {
 public:
  // Below this command.
  Command AddCommand(const std::string& name, const std::string& description);
  void SetFooter(const std::string& text);

  // `names`: "-o,--out", or "SPEC" for an argument by its place. `*value` outlives Program::Parse,
  // which writes it only where the command line has the option. T: std::string, int32_t, int64_t,
  // uint64_t, double; std::optional<int32_t>; std::vector of std::string or int64_t.
  template <typename T>
  Option AddOption(const std::string& names, T* value, const std::string& help);
  // Without a variable: Option::values has what was given.
  Option AddOption(const std::string& names, const std::string& help);
  // An option without a value, which sets `*value`.
  void AddFlag(const std::string& names, bool* value, const std::string& help);

  // Called by Program::Parse where the command line names this command.
  void OnChosen(const std::function<void()>& chosen);
  // Refuses a command line that names this command and none below it; `what`: "a benchmark".
  void RequireCommand(const std::string& what);

  std::string name() const;
  // Those below this one, in the order in which they were added.
  std::vector<Command> commands() const;
  // The option of that name ("--out", "-o"), hidden or not, as a list of one, or an empty list.
  std::vector<Option> Find(const std::string& name) const;
  // Long names, without their dashes, of what --help shows.
  std::vector<std::string> long_names() const;

 private:
  friend class Program;
  explicit Command(CLI::App* app) : app_(app) {}

  CLI::App* app_;
};

// What became of a command line.
struct Parsed {
  enum Kind {
    kAccepted,  // all variables are set, and what the chosen command's OnChosen got was called
    kAnswered,  // --help or --version: the answer is on standard output
    kRefused,
  };
  Kind kind = kAccepted;
  // Of kRefused alone: what is wrong, in CLI11's words.
  std::string problem;
  // Of kRefused alone: the words that no command takes, in no order, where that is the problem.
  std::vector<std::string> extras;
};

// A program with commands. Owns them and their options.
class Program {
 public:
  // `version`: what --version prints. Options of the program may stand behind its commands too.
  Program(const std::string& name, const std::string& description,
          const std::function<std::string()>& version);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Command command() const;

  // Once. One command has to be named.
  Parsed Parse(int argc, const char* const* argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PARSER_PARSER_H_
