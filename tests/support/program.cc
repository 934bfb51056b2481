#include "tests/support/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr char kProgram[] = "experiments/ringmaster";  // relative to the test's runfiles

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

bool WaitUntil(absl::Duration limit, const std::function<bool()>& done) {
  const MonotonicTime deadline = MonotonicNow() + limit;
  absl::Mutex never;
  absl::MutexLock lock(&never);
  const auto no = [] { return false; };
  while (!done()) {
    if (MonotonicNow() > deadline) return false;
    never.AwaitWithTimeout(absl::Condition(&no), absl::Milliseconds(10));
  }
  return true;
}

std::string NewFolder(const std::string& name) {
  static std::atomic<int> next{0};
  const std::string path = absl::StrCat(testing::TempDir(), "/", name, "-", getpid(), "-", next++);
  std::filesystem::create_directories(path);
  return path;
}

Program::Program(const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment,
                 const std::function<void()>& prepare) {
  const std::string folder = NewFolder("program");
  out_path_ = folder + "/out";
  err_path_ = folder + "/err";
  std::vector<char*> argv = {const_cast<char*>(kProgram)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry != nullptr; ++entry) envp.push_back(*entry);
  envp.push_back(nullptr);
  pid_ = fork();
  if (pid_ != 0) return;
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(open(out_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
  dup2(open(err_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGTSTP}) signal(number, SIG_DFL);
  if (prepare) prepare();
  execve(kProgram, argv.data(), envp.data());
  _exit(127);
}

Program::~Program() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Program::Signal(int number) const { kill(pid_, number); }

std::string Program::OutputSoFar() const { return ReadFile(out_path_); }

std::string Program::ErrorSoFar() const { return ReadFile(err_path_); }

bool Program::Reap() {
  int status = 0;
  if (ended_) return true;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return false;
  ended_ = true;
  exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

bool Program::WaitForError(const std::string& text, absl::Duration limit) {
  bool found = false;
  WaitUntil(limit, [&] {
    const bool over = Reap();
    found = ErrorSoFar().find(text) != std::string::npos;
    return found || over;
  });
  return found;
}

Finished Program::Wait(absl::Duration limit) {
  const bool over = WaitUntil(limit, [this] { return Reap(); });
  const Finished finished{over ? exit_code_ : -1, OutputSoFar(), ErrorSoFar()};
  // A run that is to fail must not hide the report of a sanitizer (./test --asan, --tsan).
  for (const char* const report : {"Sanitizer: ", ": runtime error: "}) {
    if (finished.err.find(report) != std::string::npos) ADD_FAILURE() << finished.err;
  }
  return finished;
}

Finished RunProgram(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment) {
  return Program(arguments, environment).Wait(Patience(120));
}

Finished ExpectInterruptEndsSoon(Program* program, size_t ranks) {
  const std::vector<pid_t> children = ChildrenOf(program->pid());
  EXPECT_EQ(children.size(), ranks);
  const MonotonicTime begin = MonotonicNow();
  program->Signal(SIGINT);
  const Finished finished = program->Wait(Patience(10));
  const absl::Duration took = MonotonicNow() - begin;
  EXPECT_LT(took, AtThisLoad(absl::Seconds(2)));
  EXPECT_EQ(finished.exit_code, 130);
  for (const pid_t child : children) EXPECT_NE(kill(child, 0), 0) << child << " is left";
  return finished;
}

char StateOf(pid_t pid) {
  const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  const size_t name_end = stat.rfind(')');
  return name_end == std::string::npos ? 0 : stat[name_end + 2];
}

std::string CommandLineOf(pid_t pid) {
  std::string line = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"));
  while (!line.empty() && line.back() == '\0') line.pop_back();
  for (char& c : line) c = c == '\0' ? ' ' : c;
  return line;
}

pid_t RankNamed(pid_t parent, const std::string& name) {
  for (const pid_t child : ChildrenOf(parent)) {
    if (CommandLineOf(child) == "ringmaster: " + name) return child;
  }
  ADD_FAILURE() << "no process of " << name;
  return std::numeric_limits<pid_t>::max();  // a signal to 0 would go to this test
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    // The name may hold spaces; what follows its closing parenthesis does not: state, parent, ...
    const std::string stat = ReadFile(entry.path().string() + "/stat");
    const size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
    pid_t of = 0;
    if (fields.size() > 1 && absl::SimpleAtoi(fields[1], &of) && of == parent)
      children.push_back(pid);
  }
  return children;
}

}  // namespace ringmaster
