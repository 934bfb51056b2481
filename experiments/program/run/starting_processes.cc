#include "experiments/program/run/starting_processes.h"

#include <optional>

#include "common/machine/process_stat.h"

namespace ringmaster {
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
  const std::optional<ProcessStat> stat = ReadProcessStat(process.pid);
  if (!stat || stat->has_ended() || stat->is_suspended()) return process.gets_on = false;
  if (stat->cpu != process.cpu || stat->state == 'D' || stat->state == 'R') process.got_on = now;
  process.cpu = stat->cpu;
  return process.gets_on = now - process.got_on < patience_;
}

}  // namespace ringmaster
