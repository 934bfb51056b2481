#ifndef RINGMASTER_TESTS_SUPPORT_PROGRAM_H_
#define RINGMASTER_TESTS_SUPPORT_PROGRAM_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace ringmaster {

// What a finished program left: exit_code is 128 + signal when a signal ended it, -1 when it
// outlived the deadline.
struct Finished {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// The real program, run as a user would. Standard output and error go to files in the test's
// temporary folder.
class Program {
 public:
  // Starts bazel-bin's experiments/ringmaster with `arguments`; "NAME=value" entries are added to
  // its environment. `prepare` runs in the new process before the program, for signals and limits
  // that it inherits. Signals that end programs have their default action unless it says otherwise.
  explicit Program(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment = {},
                   const std::function<void()>& prepare = nullptr);
  // Kills it if it still runs.
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int number) const;
  // What it has written to standard error so far.
  std::string ErrorSoFar() const;
  // And to standard output.
  std::string OutputSoFar() const;
  // Waits until its standard error contains `text`; false at the deadline or when it ends without.
  bool WaitForError(const std::string& text, absl::Duration limit);
  // Waits for its end, at most `limit`.
  Finished Wait(absl::Duration limit);

 private:
  bool Reap();

  pid_t pid_ = 0;
  bool ended_ = false;
  int exit_code_ = -1;
  std::string out_path_;
  std::string err_path_;
};

// Start and wait, two minutes at most.
Finished RunProgram(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment = {});

// Looks again and again until `done`, and says whether it came before the limit: for what other
// processes do, which offer no event to wait for.
bool WaitUntil(absl::Duration limit, const std::function<bool()>& done);

// Interrupts a `compare` (SIGINT) that has `ranks` processes now, and waits for its end: within two
// seconds, at this machine's load, with exit code 130, and with none of them left.
Finished ExpectInterruptEndsSoon(Program* program, size_t ranks);

// A fresh folder under the test's temporary one.
std::string NewFolder(const std::string& name);

// The child of `parent` that bears the name of a rank, such as "worker/1+server/1"; fails the test
// where there is none.
pid_t RankNamed(pid_t parent, const std::string& name);

// The command line of a process, its words separated by spaces.
std::string CommandLineOf(pid_t pid);

// The state of a process as /proc has it, such as 'T' where a signal has stopped it; 0: it is gone.
char StateOf(pid_t pid);

// Process ids of the children of `parent`, grandchildren left out.
std::vector<pid_t> ChildrenOf(pid_t parent);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_PROGRAM_H_
