#include "common/machine/processes.h"

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace ringmaster {
namespace {

constexpr size_t kCommandBytesMax = 120;
constexpr char kListens[] = "0A";  // TCP_LISTEN, as /proc/net/tcp writes it

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string CommandOf(int64_t pid, const std::string& short_name) {
  std::string command = ReadAll(absl::StrCat("/proc/", pid, "/cmdline"));
  while (!command.empty() && command.back() == '\0') command.pop_back();
  if (command.empty()) return absl::StrCat("(", short_name, ")");
  // Of the program's path the last part is enough. Ranks have a name in its place: "ringmaster:
  // worker/0".
  const size_t slash = command.substr(0, command.find('\0')).rfind('/');
  const bool is_path = command[0] == '/' || command[0] == '.';
  if (is_path && slash != std::string::npos && slash + 1 < command.size())
    command.erase(0, slash + 1);
  for (char& byte : command) {
    if (static_cast<unsigned char>(byte) < ' ') byte = ' ';  // arguments end in a zero
  }
  if (command.size() > kCommandBytesMax)
    command = absl::StrCat(command.substr(0, kCommandBytesMax - 3), "...");
  return command;
}

// The sockets ("socket:[4711]") that listen at `port`, of one of the system's two tables.
void AddListeners(const char* table, int port, std::set<std::string>* sockets) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);  // the heading
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (fields.size() < 10 || fields[3] != kListens) continue;
    const std::string& address = fields[1];  // in hexadecimal, "0100007F:733C"
    int64_t number = 0;
    if (!absl::SimpleHexAtoi(address.substr(address.rfind(':') + 1), &number) || number != port)
      continue;
    sockets->insert(absl::StrCat("socket:[", fields[9], "]"));
  }
}

// The names in a folder of /proc that are numbers.
std::vector<int64_t> NumbersIn(const std::string& folder) {
  std::vector<int64_t> numbers;
  DIR* const open = opendir(folder.c_str());
  if (open == nullptr) return numbers;
  while (const dirent* const entry = readdir(open)) {
    int64_t number = 0;
    if (absl::SimpleAtoi(entry->d_name, &number)) numbers.push_back(number);
  }
  closedir(open);
  return numbers;
}

bool HoldsOneOf(int64_t pid, const std::set<std::string>& sockets) {
  const std::string folder = absl::StrCat("/proc/", pid, "/fd");
  const std::vector<int64_t> descriptors = NumbersIn(folder);
  return std::any_of(descriptors.begin(), descriptors.end(), [&](int64_t descriptor) {
    char target[PATH_MAX];
    const ssize_t length =
        readlink(absl::StrCat(folder, "/", descriptor).c_str(), target, sizeof(target));
    return length > 0 && sockets.count(std::string(target, static_cast<size_t>(length))) > 0;
  });
}

}  // namespace

std::optional<ProcessFacts> LookAtProcess(int64_t pid) {
  std::optional<ProcessStat> stat = ReadProcessStat(pid);
  if (!stat) return std::nullopt;
  std::string command = CommandOf(pid, stat->short_name);
  return ProcessFacts(*std::move(stat), std::move(command));
}

std::string WhoListensAt(int port) {
  std::set<std::string> sockets;
  AddListeners("/proc/net/tcp", port, &sockets);
  AddListeners("/proc/net/tcp6", port, &sockets);
  if (sockets.empty()) return "";
  std::vector<std::string> holders;
  for (const int64_t pid : NumbersIn("/proc")) {
    if (!HoldsOneOf(pid, sockets)) continue;
    const std::optional<ProcessFacts> facts = LookAtProcess(pid);
    if (facts) holders.push_back(absl::StrCat("pid ", pid, " (", facts->command, ")"));
  }
  if (holders.empty()) return "a process of another user or container";
  return absl::StrJoin(holders, ", ");
}

}  // namespace ringmaster
