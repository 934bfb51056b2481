#include "experiments/program/run/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/shared_futex.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

constexpr uint64_t kMagic = 0x726d7475726e7332;
// Who waits looks after its run so often.
constexpr absl::Duration kLookPeriod = absl::Seconds(1);

struct Head {
  uint64_t magic;
  int64_t workers;
  int64_t steps;
  // Of the turn: its end, and where its timed steps begin. A worker says to which step it has come
  // before it reads the end; who lowers the end reads afterwards where all are: one of the two sees
  // the other.
  std::atomic<int64_t> granted;
  std::atomic<int64_t> timed_from;
  // Futexes: they move when workers are to look again, and when a worker has come to an end.
  std::atomic<uint32_t> workers_bell;
  std::atomic<uint32_t> giver_bell;
};
static_assert(std::atomic<int64_t>::is_always_lock_free, "processes share it");

// A worker's, behind the head: workers write them every step, and share no cache line.
struct alignas(64) Seat {
  std::atomic<int64_t> came_to;   // -1: to no step yet
  std::atomic<int64_t> times[2];  // nanoseconds when it came to timed_from and to the end
};

Head& HeadOf(void* memory) { return *static_cast<Head*>(memory); }

Seat& SeatOf(void* memory, int64_t worker) {
  constexpr size_t kSeatsAt = (sizeof(Head) + alignof(Seat) - 1) / alignof(Seat) * alignof(Seat);
  return reinterpret_cast<Seat*>(static_cast<char*>(memory) + kSeatsAt)[worker];
}

int64_t SizeFor(int64_t workers) {
  return static_cast<int64_t>(sizeof(Seat) * (workers + 1) + sizeof(Head));
}

// The same clock in every process.
int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

void Ring(std::atomic<uint32_t>& bell) {
  bell.fetch_add(1);
  WakeSleepers(bell);
}

int64_t Foremost(void* memory) {
  int64_t foremost = -1;
  for (int64_t worker = 0; worker < HeadOf(memory).workers; ++worker)
    foremost = std::max(foremost, SeatOf(memory, worker).came_to.load());
  return foremost;
}

int64_t LastTime(void* memory, int which) {
  int64_t last = 0;
  for (int64_t worker = 0; worker < HeadOf(memory).workers; ++worker)
    last = std::max(last, SeatOf(memory, worker).times[which].load());
  return last;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TurnGiver>> TurnGiver::Create(int32_t workers, int64_t steps) {
  RM_CHECK(workers > 0 && steps > 0);
  std::unique_ptr<TurnGiver> giver(new TurnGiver());
  giver->size_ = SizeFor(workers);
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
  Head& head = HeadOf(memory);
  head.workers = workers;
  head.steps = steps;
  for (int32_t worker = 0; worker < workers; ++worker) SeatOf(memory, worker).came_to.store(-1);
  head.magic = kMagic;
  return giver;
}

TurnGiver::~TurnGiver() {
  if (memory_ != nullptr) {
    HeadOf(memory_).granted.store(HeadOf(memory_).steps);
    Ring(HeadOf(memory_).workers_bell);
    munmap(memory_, size_);
  }
  if (file_ >= 0) close(file_);
}

void TurnGiver::Grant(const Turn& turn) {
  Head& head = HeadOf(memory_);
  const int64_t granted = head.granted.load();
  RM_CHECK(turn.timed_from <= turn.end && turn.end <= head.steps);
  RM_CHECK(granted == 0 || AllCameTo(granted));
  for (int64_t worker = 0; worker < head.workers; ++worker) {
    for (std::atomic<int64_t>& time : SeatOf(memory_, worker).times) time.store(0);
  }
  head.timed_from.store(turn.timed_from);
  head.granted.store(turn.end);
  Ring(head.workers_bell);
}

int64_t TurnGiver::Cut(int64_t least) {
  Head& head = HeadOf(memory_);
  const int64_t granted = head.granted.load();
  for (int64_t end = -1;;) {
    // Whoever has begun the foremost step has read an end beyond it.
    const int64_t next = std::min(granted, std::max(least, Foremost(memory_) + 1));
    if (next == end) return end;
    head.granted.store(end = next);
    // A worker that parked before a lower end goes on.
    Ring(head.workers_bell);
  }
}

bool TurnGiver::AllCameTo(int64_t step) const {
  for (int64_t worker = 0; worker < HeadOf(memory_).workers; ++worker) {
    if (SeatOf(memory_, worker).came_to.load() < step) return false;
  }
  return true;
}

bool TurnGiver::AwaitAll(int64_t step, absl::Duration limit) const {
  const MonotonicTime deadline = MonotonicNow() + limit;
  Head& head = HeadOf(memory_);
  for (;;) {
    const uint32_t heard = head.giver_bell.load();
    if (AllCameTo(step)) return true;
    const absl::Duration left = deadline - MonotonicNow();
    if (left <= absl::ZeroDuration()) return false;
    SleepWhile(head.giver_bell, heard, left);
  }
}

double TurnGiver::Seconds() const {
  RM_CHECK(AllCameTo(HeadOf(memory_).granted.load()));
  return static_cast<double>(LastTime(memory_, 1) - LastTime(memory_, 0)) * 1e-9;
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
    const Head& head = HeadOf(taker->memory_);
    if (head.magic == kMagic && SizeFor(head.workers) == taker->size_) return taker;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("turns: ", path, " is no file that a giver of turns shares with its runs"));
}

TurnTaker::~TurnTaker() {
  if (memory_ != nullptr) munmap(memory_, size_);
}

absl::StatusOr<bool> TurnTaker::Await(int32_t rank, int64_t step,
                                      const std::function<absl::Status()>& run) {
  Head& head = HeadOf(memory_);
  RM_CHECK(rank >= 0 && rank < head.workers && step >= 0 && step <= head.steps);
  Seat& seat = SeatOf(memory_, rank);
  const int64_t before = seat.came_to.load(std::memory_order_relaxed);
  // Lots may pass over a step.
  const auto passes = [&](int64_t mark) { return before < mark && mark <= step; };
  if (passes(head.timed_from.load())) seat.times[0].store(Now());
  if (passes(head.granted.load())) seat.times[1].store(Now());
  seat.came_to.store(step);
  const auto is_granted = [&] {
    const int64_t granted = head.granted.load();
    return step < granted || granted == head.steps;
  };
  for (bool told = false;; told = true) {
    const uint32_t heard = head.workers_bell.load();
    if (is_granted()) return step >= head.timed_from.load();
    if (!told) Ring(head.giver_bell);
    if (const absl::Status status = run(); !status.ok()) return status;
    SleepWhile(head.workers_bell, heard, kLookPeriod);
  }
}

void TurnTaker::Rouse() { Ring(HeadOf(memory_).workers_bell); }

}  // namespace ringmaster
