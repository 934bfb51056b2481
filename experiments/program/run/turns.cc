#include "experiments/program/run/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

constexpr uint64_t kMagic = 0x726d7475726e7331;
// Waiting workers look this often: rarely enough to leave the others' turns alone. No timed step
// begins with it.
constexpr absl::Duration kPoll = absl::Milliseconds(4);

struct Head {
  uint64_t magic;
  int64_t workers;
  int64_t steps;
  std::atomic<int64_t> granted;
};
static_assert(std::atomic<int64_t>::is_always_lock_free, "processes share it");

// Nanoseconds of the machine's clock at which a worker came to a step, 0 before: behind the head,
// by worker and step.
std::atomic<int64_t>& ArrivalOf(void* memory, int64_t worker, int64_t step) {
  auto* head = static_cast<Head*>(memory);
  auto* arrivals = reinterpret_cast<std::atomic<int64_t>*>(head + 1);
  return arrivals[worker * (head->steps + 1) + step];
}

// The same clock in every process.
int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

int64_t SizeFor(int64_t workers, int64_t steps) {
  return static_cast<int64_t>(sizeof(Head)) +
         workers * (steps + 1) * static_cast<int64_t>(sizeof(int64_t));
}

int64_t LastArrival(void* memory, int64_t step) {
  int64_t last = 0;
  for (int64_t worker = 0; worker < static_cast<Head*>(memory)->workers; ++worker) {
    last = std::max(last, ArrivalOf(memory, worker, step).load());
  }
  return last;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TurnGiver>> TurnGiver::Create(int32_t workers, int64_t steps) {
  std::unique_ptr<TurnGiver> giver(new TurnGiver());
  giver->size_ = SizeFor(workers, steps);
  giver->file_ = memfd_create("ringmaster-turns", MFD_CLOEXEC);
  if (giver->file_ < 0 || ftruncate(giver->file_, giver->size_) != 0) {
    return absl::UnavailableError(
        absl::StrCat("turns: an anonymous file of ", giver->size_, " bytes: ", ErrorText(errno)));
  }
  void* memory = mmap(nullptr, giver->size_, PROT_READ | PROT_WRITE, MAP_SHARED, giver->file_, 0);
  if (memory == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrCat("turns: mmap: ", ErrorText(errno)));
  giver->memory_ = memory;
  giver->path_ = absl::StrCat("/proc/", getpid(), "/fd/", giver->file_);
  auto* head = static_cast<Head*>(memory);
  head->workers = workers;
  head->steps = steps;
  head->magic = kMagic;
  return giver;
}

TurnGiver::~TurnGiver() {
  if (memory_ != nullptr) {
    Grant(static_cast<Head*>(memory_)->steps);
    munmap(memory_, size_);
  }
  if (file_ >= 0) close(file_);
}

void TurnGiver::Grant(int64_t steps) { static_cast<Head*>(memory_)->granted.store(steps); }

bool TurnGiver::AllCameTo(int64_t step) const {
  for (int64_t worker = 0; worker < static_cast<Head*>(memory_)->workers; ++worker) {
    if (ArrivalOf(memory_, worker, step).load() == 0) return false;
  }
  return true;
}

double TurnGiver::Seconds(int64_t begin, int64_t end) const {
  RM_CHECK(AllCameTo(begin) && AllCameTo(end));
  return static_cast<double>(LastArrival(memory_, end) - LastArrival(memory_, begin)) * 1e-9;
}

absl::StatusOr<std::unique_ptr<TurnTaker>> TurnTaker::Open(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0)
    return absl::NotFoundError(absl::StrCat("turns: open ", path, ": ", ErrorText(errno)));
  struct stat found;
  std::unique_ptr<TurnTaker> taker(new TurnTaker());
  if (fstat(file, &found) == 0 && found.st_size >= static_cast<int64_t>(sizeof(Head))) {
    void* memory = mmap(nullptr, found.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED) {
      taker->memory_ = memory;
      taker->size_ = found.st_size;
    }
  }
  close(file);
  if (taker->memory_ != nullptr) {
    const auto* head = static_cast<Head*>(taker->memory_);
    if (head->magic == kMagic && SizeFor(head->workers, head->steps) == taker->size_) return taker;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("turns: ", path, " is no file that a benchmark shares with its runs"));
}

TurnTaker::~TurnTaker() {
  if (memory_ != nullptr) munmap(memory_, size_);
}

absl::Status TurnTaker::Await(int32_t rank, int64_t step,
                              const std::function<absl::Status()>& run) {
  auto* head = static_cast<Head*>(memory_);
  RM_CHECK(rank >= 0 && rank < head->workers && step >= 0 && step <= head->steps);
  ArrivalOf(memory_, rank, step).store(Now());
  while (head->granted.load() <= step && step < head->steps) {
    const absl::Status status = run();
    if (!status.ok()) return status;
    absl::SleepFor(kPoll);
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
