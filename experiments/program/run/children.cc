#include "experiments/program/run/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/base/fd.h"
#include "common/base/monotonic.h"
#include "common/base/system_error.h"
#include "common/machine/process_end.h"

namespace ringmaster {
namespace {

constexpr size_t kPipeCapacity = 64 << 10;

// How long a process that is asked to end may take: a rank tells the others and removes what it was
// writing.
constexpr absl::Duration kAskLimit = absl::Milliseconds(500);

// Runs between fork and exec: async-signal-safe calls only.
[[noreturn]] void BecomeChild(const ChildProgram& program, int input, int output, pid_t parent,
                              char* const argv[], char* const envp[]) {
  prctl(PR_SET_PDEATHSIG, program.death_signal);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  // Where this program has no standard input, the pipe may have got its number, and would be closed
  // on exec.
  if (input == STDIN_FILENO) {
    fcntl(input, F_SETFD, 0);
  } else {
    dup2(input, STDIN_FILENO);
  }
  if (output >= 0) dup2(output, STDERR_FILENO);
  if (!program.keeps_output) dup2(STDERR_FILENO, STDOUT_FILENO);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(program.path.c_str(), argv, envp);
  _exit(127);
}

// The child's: what of this process's environment the program does not replace, behind its own.
std::vector<std::string> EnvironmentOf(const ChildProgram& program) {
  std::vector<std::string> names = program.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view name = absl::string_view(*entry).substr(0, std::strcspn(*entry, "="));
    const auto replaces = [name](const std::string& own) {
      return absl::StartsWith(own, name) && own[name.size()] == '=';
    };
    if (std::none_of(program.environment.begin(), program.environment.end(), replaces))
      names.push_back(*entry);
  }
  return names;
}

}  // namespace

std::string FindProgram(absl::string_view name, absl::string_view search_path) {
  for (const absl::string_view folder : absl::StrSplit(search_path, ':', absl::SkipEmpty())) {
    const std::string path = absl::StrCat(folder, "/", name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

void DieWithParent() { prctl(PR_SET_PDEATHSIG, SIGKILL); }

Children::~Children() { WaitOrKill(MonotonicTime::InfinitePast()); }

absl::Status Children::Start(const ChildProgram& program) {
  const std::string& input = program.input;
  if (input.size() > kPipeCapacity) {
    return absl::InvalidArgumentError(
        absl::StrCat("a spec of ", input.size(), " bytes, at most ", kPipeCapacity));
  }
  Fd output;
  if (!program.output.empty()) {
    output =
        Fd(open(program.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644));
    if (!output.valid()) return SystemError(errno, absl::StrCat("cannot write ", program.output));
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError(errno, "cannot start a process: no pipe");
  const std::vector<std::string> names = EnvironmentOf(program);
  std::vector<char*> argv = {const_cast<char*>(program.name.c_str())};
  for (const std::string& argument : program.arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& name : names) envp.push_back(const_cast<char*>(name.c_str()));
  envp.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeChild(program, ends[0], output.get(), parent, argv.data(), envp.data());
  close(ends[0]);
  if (pid < 0) {
    const int error = errno;
    close(ends[1]);
    return absl::ResourceExhaustedError(absl::StrCat("cannot start a process: ", ErrorText(error)));
  }
  pids_.push_back(pid);
  // Fits the pipe: does not wait for the child. A child that dies first shows up in Reap.
  const ssize_t written = write(ends[1], input.data(), input.size());
  close(ends[1]);
  if (written != static_cast<ssize_t>(input.size())) {
    return absl::UnavailableError("a process ended before it read its spec");
  }
  return absl::OkStatus();
}

std::vector<std::pair<int, std::string>> Children::Reap() {
  std::vector<std::pair<int, std::string>> ended;
  for (size_t i = 0; i < pids_.size(); ++i) {
    int wait_status = 0;
    if (pids_[i] == 0 || waitpid(pids_[i], &wait_status, WNOHANG) != pids_[i]) continue;
    pids_[i] = 0;
    ended.emplace_back(static_cast<int>(i), EndText(wait_status));
  }
  return ended;
}

std::vector<std::pair<int, std::string>> Children::WaitOrKill(MonotonicTime deadline) {
  std::vector<std::pair<int, std::string>> ended;
  const auto wait_until = [&](MonotonicTime limit) {
    while (!empty() && MonotonicNow() < limit) {
      for (auto& end : Reap()) ended.push_back(std::move(end));
      if (!empty()) absl::SleepFor(absl::Milliseconds(5));
    }
  };
  wait_until(deadline);
  for (const pid_t pid : pids_) {
    if (pid != 0) kill(pid, SIGTERM);
  }
  wait_until(deadline + kAskLimit);
  for (size_t i = 0; i < pids_.size(); ++i) {
    int wait_status = 0;
    if (pids_[i] == 0) continue;
    kill(pids_[i], SIGKILL);
    waitpid(pids_[i], &wait_status, 0);
    pids_[i] = 0;
    ended.emplace_back(static_cast<int>(i), EndText(wait_status));
  }
  return ended;
}

bool Children::empty() const {
  return std::all_of(pids_.begin(), pids_.end(), [](pid_t pid) { return pid == 0; });
}

}  // namespace ringmaster
