#include "experiments/program/run/attempts/run_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

constexpr uint64_t kMagic = 0x726d636c6f636b31;

}  // namespace

struct RunClock::Memory {
  uint64_t magic;
  // of the clock that is the same in every process of the machine; 0: not yet
  std::atomic<int64_t> begin_ns;
};

absl::StatusOr<std::unique_ptr<RunClock>> RunClock::Create() {
  std::unique_ptr<RunClock> clock(new RunClock());
  clock->file_ = memfd_create("ringmaster-clock", MFD_CLOEXEC);
  if (clock->file_ < 0 || ftruncate(clock->file_, sizeof(Memory)) != 0)
    return SystemError(errno, "clock of training: cannot make an anonymous file");
  void* memory = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, clock->file_, 0);
  if (memory == MAP_FAILED)
    return SystemError(errno, "clock of training: cannot map an anonymous file");
  clock->memory_ = static_cast<Memory*>(memory);
  clock->memory_->magic = kMagic;
  clock->path_ = absl::StrCat("/proc/", getpid(), "/fd/", clock->file_);
  return clock;
}

absl::StatusOr<std::unique_ptr<RunClock>> RunClock::Open(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file.valid())
    return SystemError(errno, absl::StrCat("clock of training: cannot open ", path));
  const auto of_another_kind = [&path] {
    return absl::InvalidArgumentError(absl::StrCat("clock of training: ", path, " has none"));
  };
  struct stat status;
  if (fstat(file.get(), &status) != 0 || status.st_size != sizeof(Memory)) return of_another_kind();
  void* memory = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED)
    return SystemError(errno, absl::StrCat("clock of training: cannot map ", path));
  std::unique_ptr<RunClock> clock(new RunClock());
  clock->memory_ = static_cast<Memory*>(memory);
  if (clock->memory_->magic != kMagic) return of_another_kind();
  return clock;
}

RunClock::~RunClock() {
  if (memory_ != nullptr) munmap(memory_, sizeof(Memory));
  if (file_ >= 0) close(file_);
}

std::optional<Clock::time_point> RunClock::begin() const {
  const int64_t begin = memory_->begin_ns.load();
  if (begin == 0) return std::nullopt;
  return Clock::time_point(std::chrono::nanoseconds(begin));
}

void RunClock::Begin(Clock::time_point begin) {
  int64_t never = 0;
  const std::chrono::nanoseconds since_origin = begin.time_since_epoch();
  memory_->begin_ns.compare_exchange_strong(never, since_origin.count());
}

}  // namespace ringmaster
