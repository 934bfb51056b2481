#include "experiments/program/run/attempts/run_clock.h"

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr uint64_t kMagic = 0x726d636c6f636b31;
constexpr char kWhat[] = "clock of training";

}  // namespace

struct RunClock::Memory {
  uint64_t magic;
  // of the clock that is the same in every process of the machine; 0: not yet
  std::atomic<int64_t> begin_ns;
};

absl::StatusOr<std::unique_ptr<RunClock>> RunClock::Create() {
  RM_ASSIGN_OR_RETURN(SharedFile file, SharedFile::Create(kWhat, sizeof(Memory)));
  std::unique_ptr<RunClock> clock(new RunClock(std::move(file)));
  clock->memory()->magic = kMagic;
  return clock;
}

absl::StatusOr<std::unique_ptr<RunClock>> RunClock::Open(const std::string& path) {
  RM_ASSIGN_OR_RETURN(SharedFile file, SharedFile::Open(kWhat, path, sizeof(Memory)));
  std::unique_ptr<RunClock> clock(new RunClock(std::move(file)));
  if (clock->file_.size() != sizeof(Memory) || clock->memory()->magic != kMagic)
    return absl::InvalidArgumentError(absl::StrCat(kWhat, ": ", path, " is none of its files"));
  return clock;
}

std::optional<Clock::time_point> RunClock::begin() const {
  const int64_t begin = memory()->begin_ns.load();
  if (begin == 0) return std::nullopt;
  return Clock::time_point(std::chrono::nanoseconds(begin));
}

void RunClock::Begin(Clock::time_point begin) {
  int64_t never = 0;
  const std::chrono::nanoseconds since_origin = begin.time_since_epoch();
  memory()->begin_ns.compare_exchange_strong(never, since_origin.count());
}

}  // namespace ringmaster
