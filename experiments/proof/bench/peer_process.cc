#include "experiments/proof/bench/peer_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/base/monotonic.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);
constexpr absl::Duration kEndLimit = absl::Seconds(5);

absl::Status Failed(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

// Runs between fork and exec: async-signal-safe calls only.
[[noreturn]] void BecomePeer(int channel, pid_t parent, char* const argv[], char* const envp[]) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  dup2(channel, STDIN_FILENO);
  dup2(channel, STDOUT_FILENO);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execvpe(argv[0], argv, envp);
  _exit(127);
}

// `additions` win over this process's environment.
std::vector<std::string> EnvironmentWith(const std::vector<std::string>& additions) {
  std::vector<std::string> entries = additions;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view name =
        absl::string_view(*entry).substr(0, absl::string_view(*entry).find('=') + 1);
    const bool replaced =
        std::any_of(additions.begin(), additions.end(), [&](const std::string& addition) {
          return absl::string_view(addition).substr(0, name.size()) == name;
        });
    if (!replaced) entries.push_back(*entry);
  }
  return entries;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PeerProcess>> PeerProcess::Start(
    const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Failed("socketpair");
  const std::vector<std::string> entries = EnvironmentWith(environment);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(entries);
  std::unique_ptr<PeerProcess> peer(new PeerProcess());
  peer->name_ = arguments[0];
  peer->channel_ = ends[0];
  const pid_t parent = getpid();
  peer->pid_ = fork();
  if (peer->pid_ == 0) BecomePeer(ends[1], parent, argv.data(), envp.data());
  close(ends[1]);
  if (peer->pid_ < 0) {
    peer->pid_ = 0;
    return Failed("cannot start a process");
  }
  return peer;
}

PeerProcess::~PeerProcess() {
  if (channel_ >= 0) close(channel_);
  if (pid_ <= 0) return;
  const MonotonicTime deadline = MonotonicNow() + kEndLimit;
  while (waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (MonotonicNow() < deadline) {
      absl::SleepFor(absl::Milliseconds(5));
      continue;
    }
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    return;
  }
  // It may have left children behind.
  kill(-pid_, SIGKILL);
}

absl::Status PeerProcess::WriteLine(const std::string& line) {
  const std::string text = line + "\n";
  if (send(channel_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())) {
    return absl::OkStatus();
  }
  return Failed(name_.c_str());
}

absl::StatusOr<std::string> PeerProcess::ReadLine(absl::Duration limit,
                                                  const std::atomic<bool>* interrupted) {
  const MonotonicTime deadline = MonotonicNow() + limit;
  while (true) {
    const size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    if (interrupted != nullptr && *interrupted) return absl::CancelledError("interrupted");
    if (MonotonicNow() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(name_, ": no answer within ", absl::FormatDuration(limit)));
    }
    pollfd waited = {channel_, POLLIN, 0};
    if (poll(&waited, 1, static_cast<int>(absl::ToInt64Milliseconds(kPoll))) <= 0) continue;
    char bytes[4096];
    const ssize_t got = read(channel_, bytes, sizeof(bytes));
    if (got > 0) {
      unread_.append(bytes, got);
    } else if (got == 0 || errno != EINTR) {
      return absl::UnavailableError(absl::StrCat(name_, " has ended; what it said stands above"));
    }
  }
}

}  // namespace ringmaster
