#include "common/machine/process_end.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "common/machine/address_space.h"
#include "common/machine/process_stat.h"

namespace ringmaster {
namespace {

// Libraries that do not look at what they are given end so where there is no address space. Who
// starts a process has the same limit.
std::string AddressSpaceHint(int signal) {
  const std::optional<int64_t> limit = AddressSpaceLimit();
  if (!limit.has_value() || (signal != SIGSEGV && signal != SIGABRT && signal != SIGBUS)) return "";
  return absl::StrCat(", perhaps for lack of address space: processes are limited to ", *limit,
                      " bytes (ulimit -v, RLIMIT_AS)");
}

// The system kills who has used up the hard limit of processor time, and says nothing.
std::string ProcessorTimeHint(int signal) {
  rlimit limit{};
  if ((signal != SIGKILL && signal != SIGXCPU) || getrlimit(RLIMIT_CPU, &limit) != 0) return "";
  const rlim_t seconds = std::min(limit.rlim_cur, limit.rlim_max);
  if (seconds == RLIM_INFINITY) return "";
  return absl::StrCat(", perhaps for its processor time: processes are limited to ", seconds,
                      " s of it (ulimit -t, RLIMIT_CPU)");
}

}  // namespace

std::string SignalName(int signal) {
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat("signal ", signal) : absl::StrCat("SIG", name);
}

std::string EndText(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return absl::StrCat("signal ", signal, " (", strsignal(signal), ")", AddressSpaceHint(signal),
                        ProcessorTimeHint(signal));
  }
  const int code = WEXITSTATUS(wait_status);
  const int signal = code - 128;
  // Shells, mpirun and this program itself give such codes.
  if (signal <= 0 || sigabbrev_np(signal) == nullptr) return absl::StrCat("exit code ", code);
  return absl::StrCat("exit code ", code, " (ended by ", SignalName(signal), ")");
}

std::optional<int> WaitStatusOf(pid_t pid) {
  const std::optional<ProcessStat> stat = ReadProcessStat(pid);
  return stat ? stat->wait_status : std::nullopt;
}

}  // namespace ringmaster
