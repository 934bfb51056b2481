#include "common/base/system_error.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

std::string LimitText(int resource) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return "unknown";
  return limit.rlim_cur == RLIM_INFINITY ? "none" : absl::StrCat(limit.rlim_cur);
}

// What to add to the system's own words; empty for most errors.
std::string Advice(int error) {
  switch (error) {
    case EFBIG:
      return absl::StrCat(": over this process's limit of ", LimitText(RLIMIT_FSIZE),
                          " bytes a file (ulimit -f, RLIMIT_FSIZE); raise it");
    case ENOSPC:
      return ": the disk is full; free some space or write elsewhere";
    case EDQUOT:
      return ": this user's disk quota is used up; free some space or write elsewhere";
    case EMFILE:
      return absl::StrCat(": over this process's limit of ", LimitText(RLIMIT_NOFILE),
                          " open files (ulimit -n, RLIMIT_NOFILE); raise it");
    case ENFILE:
      return ": over the machine's limit of open files (sysctl fs.file-max); raise it";
    default:
      return "";
  }
}

}  // namespace

std::string ErrorText(int error) { return absl::StrCat(strerror(error), Advice(error)); }

bool IsLimit(int error) { return !Advice(error).empty(); }

absl::Status SystemError(int error, absl::string_view doing) {
  return absl::Status(absl::ErrnoToStatusCode(error), absl::StrCat(doing, ": ", ErrorText(error)));
}

}  // namespace ringmaster
