#include "tests/support/family_pipe.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "tests/support/program.h"

namespace ringmaster {

namespace fs = std::filesystem;

FamilyPipe::FamilyPipe() {
  int ends[2];
  RM_CHECK(pipe2(ends, O_CLOEXEC) == 0);
  read_ = Fd(ends[0]);
  write_ = Fd(ends[1]);
}

void FamilyPipe::Join() const { fcntl(write_.get(), F_SETFD, 0); }

bool FamilyPipe::AwaitTheLast(absl::Duration limit) const {
  pollfd end{read_.get(), POLLIN, 0};
  return poll(&end, 1, static_cast<int>(absl::ToInt64Milliseconds(limit))) == 1 &&
         (end.revents & POLLHUP) != 0;
}

std::string FamilyPipe::Members() const {
  struct stat own;
  RM_CHECK(fstat(read_.get(), &own) == 0);
  const std::string name = absl::StrCat("pipe:[", own.st_ino, "]");
  std::vector<std::string> members;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(process.path().filename().string(), &pid) || pid == getpid()) continue;
    for (const auto& file : fs::directory_iterator(process.path() / "fd", error)) {
      if (fs::read_symlink(file.path(), error) != name) continue;
      members.push_back(
          absl::StrCat(pid, " (", CommandLineOf(pid), ", ", std::string(1, StateOf(pid)), ")"));
      break;
    }
  }
  return absl::StrJoin(members, ", ");
}

}  // namespace ringmaster
