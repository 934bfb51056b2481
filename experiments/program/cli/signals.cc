#include "experiments/program/cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/stopped_time.h"
#include "common/formats/atomic_file.h"
#include "common/machine/process_tree.h"

namespace ringmaster {
namespace {

constexpr int kEndSignals[] = {SIGINT, SIGTERM, SIGHUP};

// How long who looks at the flag, and who tells others, may take. A rank must be gone within 0.7 s
// (Open MPI's mpirun kills it 0.9 s after SIGTERM), a launcher with all its ranks within 2 s.
constexpr absl::Duration kFlagLimit = absl::Milliseconds(1500);
constexpr absl::Duration kTellLimit = absl::Milliseconds(400);
// One event may send two signals: a terminal that closes does, by the kernel and by the shell.
constexpr absl::Duration kOneEvent = absl::Milliseconds(300);

// Signals reach a process, not an object.
std::atomic<bool> interrupt_flag{false};
std::atomic<bool> flag_is_watched{false};
std::atomic<int> end_signal{0};
ABSL_CONST_INIT absl::Mutex tell_mutex(absl::kConstInit);
std::function<void(int)>& Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(tell_mutex) {
  static auto* const tell = new std::function<void(int)>();
  return *tell;
}

bool IsIgnored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Stops what this process has started, then this process as the default action does: not where no
// shell could have it go on. Returns when it goes on, with the others.
void Pause() {
  std::vector<pid_t> stopped;
  // Twice: one of them may have started another meanwhile.
  for (int look = 0; look < 2; ++look) {
    for (const pid_t pid : DescendantsOf(getpid())) {
      if (std::find(stopped.begin(), stopped.end(), pid) != stopped.end() || IsSuspended(pid))
        continue;
      if (kill(pid, SIGSTOP) == 0) stopped.push_back(pid);
    }
  }
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  raise(SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);  // here the process stops
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  for (const pid_t pid : stopped) kill(pid, SIGCONT);
}

// What the first signal sets off. Returns by when the process must have ended.
MonotonicTime BeginEnd(int signal) {
  const MonotonicTime now = MonotonicNow();
  end_signal = signal;
  interrupt_flag = true;
  {
    absl::MutexLock lock(&tell_mutex);
    if (Tell()) {
      std::thread([signal, tell = Tell()] {
        tell(signal);
        EndProcess(128 + signal);
      }).detach();
      return now + kTellLimit;
    }
  }
  return flag_is_watched ? now + kFlagLimit : now;
}

void TakeSignals(const sigset_t& taken) {
  const timespec tick = absl::ToTimespec(kAwakePeriod);
  MonotonicTime began;
  MonotonicTime deadline = MonotonicTime::InfiniteFuture();
  for (;;) {
    const int signal = sigtimedwait(&taken, nullptr, &tick);
    NoteAwake();
    if (signal == SIGTSTP) {
      Pause();
    } else if (signal > 0 && EndSignal() == 0) {
      began = MonotonicNow();
      deadline = BeginEnd(signal);
    } else if (signal > 0 && MonotonicNow() - began > kOneEvent) {
      deadline = MonotonicNow();
    }
    if (MonotonicNow() >= deadline) EndProcess(128 + EndSignal());
  }
}

}  // namespace

void HandleSignals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGCHLD,
         SIG_DFL);  // inherited as ignored, the ends of the ranks' processes would go unseen
  sigset_t taken;
  sigemptyset(&taken);
  for (const int number : kEndSignals) {
    if (!IsIgnored(number)) sigaddset(&taken, number);
  }
  if (!IsIgnored(SIGTSTP)) sigaddset(&taken, SIGTSTP);
  // Threads inherit the mask: the one below alone gets these signals.
  pthread_sigmask(SIG_BLOCK, &taken, nullptr);
  std::thread([taken] { TakeSignals(taken); }).detach();
}

const std::atomic<bool>& InterruptFlag() {
  flag_is_watched = true;
  return interrupt_flag;
}

void OnEndSignal(std::function<void(int signal)> tell) {
  absl::MutexLock lock(&tell_mutex);
  Tell() = std::move(tell);
}

int EndSignal() { return end_signal; }

void EndProcess(int exit_code) {
  for (const pid_t pid : DescendantsOf(getpid())) {
    // An MPI's launcher ends by the signal that it gets from this one's end, and removes its files
    // first.
    const std::string name = ShortNameOf(pid);
    if (!absl::StartsWith(name, "mpirun") && !absl::StartsWith(name, "mpiexec")) kill(pid, SIGKILL);
  }
  RemoveIncompleteFiles();
  _exit(exit_code);
}

}  // namespace ringmaster
