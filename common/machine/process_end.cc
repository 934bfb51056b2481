#include "common/machine/process_end.h"

#include <string.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

// Fields of /proc/PID/stat between the state and the exit code.
constexpr int kFieldsBetween = 48;

}  // namespace

std::string SignalName(int signal) {
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat("signal ", signal) : absl::StrCat("SIG", name);
}

std::string EndText(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return absl::StrCat("signal ", WTERMSIG(wait_status), " (", strsignal(WTERMSIG(wait_status)), ")");
  }
  const int code = WEXITSTATUS(wait_status);
  const int signal = code - 128;
  // Shells, mpirun and this program itself give such codes.
  if (signal <= 0 || sigabbrev_np(signal) == nullptr) return absl::StrCat("exit code ", code);
  return absl::StrCat("exit code ", code, " (ended by ", SignalName(signal), ")");
}

std::optional<int> WaitStatusOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  std::getline(file, text);
  // The name may hold spaces and parentheses; what follows its last one does not.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  if (!(fields >> field) || field != "Z") return std::nullopt;
  for (int i = 0; i < kFieldsBetween; ++i) fields >> field;
  int wait_status = 0;
  if (!(fields >> wait_status)) return std::nullopt;
  return wait_status;
}

}  // namespace ringmaster
