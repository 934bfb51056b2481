#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_CHILDREN_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_CHILDREN_H_

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/monotonic.h"

namespace ringmaster {

// What a child process runs.
struct ChildProgram {
  std::string path = "/proc/self/exe";   // this very program
  std::string name = "ringmaster";       // argv[0]
  std::vector<std::string> arguments;    // without argv[0]
  std::vector<std::string> environment;  // "NAME=value", in place of this process's
  std::string input;                     // its standard input, at most 64 KiB
  int death_signal = SIGKILL;            // what it gets when the thread that started it ends
  bool keeps_output = false;  // writes to this one's standard output, not to its standard error
  std::string output;         // file that gets both outputs, from its beginning; empty: none
};

// The first program of this name in the folders of `search_path`, which is as PATH; empty: there is
// none. Thread-safe.
std::string FindProgram(absl::string_view name, absl::string_view search_path);

// Lets this process die with its parent: for the ranks of a launcher that Children started, which
// they would outlive.
void DieWithParent();

// Processes this one has started. None outlives it: each gets its death signal when the thread that
// started it ends, and the destructor kills and reaps what is left. One thread.
class Children {
 public:
  Children() = default;
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Starts `program`. Terminal signals do not reach it: whoever started it decides.
  absl::Status Start(const ChildProgram& program);

  // Of the child with this index in order of Start; 0 once it is reaped.
  pid_t pid(int index) const { return pids_[index]; }

  // Reaps the processes that have ended: (index in order of Start, what became of it, as EndText of
  // common/machine/process_end.h says it).
  std::vector<std::pair<int, std::string>> Reap();

  // Waits for all to end until `deadline`, then asks the rest by SIGTERM, and kills whoever is
  // still there half a second later. Afterwards none is left. Returns what Reap would have.
  std::vector<std::pair<int, std::string>> WaitOrKill(MonotonicTime deadline);

  bool empty() const;

 private:
  std::vector<pid_t> pids_;  // 0: reaped
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_CHILDREN_H_
