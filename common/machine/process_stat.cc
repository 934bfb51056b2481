#include "common/machine/process_stat.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ringmaster {
namespace {

// Places behind the name.
constexpr size_t kState = 0, kParent = 1, kUserTicks = 11, kSystemTicks = 12, kExitCode = 49;

}  // namespace

std::optional<ProcessStat> ReadProcessStat(int64_t pid) {
  // "4711 (short name, with anything in it) S 1 ..."
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::ostringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  const size_t begin = text.find('(');
  const size_t end = text.rfind(')');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return std::nullopt;
  const std::vector<std::string> fields =
      absl::StrSplit(text.substr(end + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  if (fields.size() <= kSystemTicks) return std::nullopt;
  ProcessStat stat;
  stat.state = fields[kState][0];
  stat.short_name = text.substr(begin + 1, end - begin - 1);
  int64_t user = 0, system = 0;
  if (!absl::SimpleAtoi(fields[kParent], &stat.parent) ||
      !absl::SimpleAtoi(fields[kUserTicks], &user) ||
      !absl::SimpleAtoi(fields[kSystemTicks], &system)) {
    return std::nullopt;
  }
  stat.cpu = absl::Seconds(1) * (user + system) / sysconf(_SC_CLK_TCK);
  int wait_status = 0;
  if (stat.state == 'Z' && fields.size() > kExitCode &&
      absl::SimpleAtoi(fields[kExitCode], &wait_status)) {
    stat.wait_status = wait_status;
  }
  return stat;
}

}  // namespace ringmaster
