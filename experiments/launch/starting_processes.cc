#include "experiments/launch/starting_processes.h"

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

struct Stat {
  char state = '?';
  int64_t ticks = 0;
};

// False: there is no such process.
bool ReadStat(pid_t pid, Stat* stat) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(file, line)) return false;
  const size_t name_end = line.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return false;
  std::istringstream fields(line.substr(name_end + 1));
  fields >> stat->state;
  std::string skipped;
  for (int field = 4; field < 14; ++field) fields >> skipped;
  int64_t user = 0;
  int64_t system = 0;
  fields >> user >> system;
  stat->ticks = user + system;
  return static_cast<bool>(fields);
}

}  // namespace

void StartingProcesses::Add(pid_t pid) {
  absl::MutexLock lock(&mutex_);
  processes_.push_back({pid});
}

bool StartingProcesses::GetsOn(int32_t index) {
  absl::MutexLock lock(&mutex_);
  if (index < 0 || index >= static_cast<int32_t>(processes_.size())) return false;
  Process& process = processes_[index];
  const MonotonicTime now = MonotonicNow();
  if (now - process.looked < patience_ / 10) return process.gets_on;
  process.looked = now;
  Stat stat;
  if (!ReadStat(process.pid, &stat) || stat.state == 'Z' || stat.state == 'T' || stat.state == 't') {
    return process.gets_on = false;
  }
  if (stat.ticks != process.ticks || stat.state == 'D' || stat.state == 'R') process.got_on = now;
  process.ticks = stat.ticks;
  return process.gets_on = now - process.got_on < patience_;
}

}  // namespace ringmaster
