#include "experiments/program/run/turns.h"

#include <time.h>

#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/shared_futex.h"
#include "common/base/status_macros.h"

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
  RM_ASSIGN_OR_RETURN(SharedFile file, SharedFile::Create("turns", SizeFor(workers)));
  Head& head = HeadOf(file.data());
  head.workers = workers;
  head.steps = steps;
  for (int32_t worker = 0; worker < workers; ++worker)
    SeatOf(file.data(), worker).came_to.store(-1);
  head.magic = kMagic;
  return std::unique_ptr<TurnGiver>(new TurnGiver(std::move(file)));
}

TurnGiver::~TurnGiver() {
  Head& head = HeadOf(file_.data());
  head.granted.store(head.steps);
  Ring(head.workers_bell);
}

void TurnGiver::Grant(const Turn& turn) {
  Head& head = HeadOf(file_.data());
  const int64_t granted = head.granted.load();
  RM_CHECK(turn.timed_from <= turn.end && turn.end <= head.steps);
  RM_CHECK(granted == 0 || AllCameTo(granted));
  // Where all stand at the first timed step already, its time runs from now on.
  const int64_t from = AllCameTo(turn.timed_from) ? Now() : 0;
  for (int64_t worker = 0; worker < head.workers; ++worker) {
    SeatOf(file_.data(), worker).times[0].store(from);
    SeatOf(file_.data(), worker).times[1].store(0);
  }
  head.timed_from.store(turn.timed_from);
  head.granted.store(turn.end);
  Ring(head.workers_bell);
}

int64_t TurnGiver::Cut(int64_t least) {
  Head& head = HeadOf(file_.data());
  const int64_t granted = head.granted.load();
  for (int64_t end = -1;;) {
    // Whoever has begun the foremost step has read an end beyond it.
    const int64_t next = std::min(granted, std::max(least, Foremost(file_.data()) + 1));
    if (next == end) return end;
    head.granted.store(end = next);
    // A worker that parked before a lower end goes on.
    Ring(head.workers_bell);
  }
}

bool TurnGiver::AllCameTo(int64_t step) const {
  for (int64_t worker = 0; worker < HeadOf(file_.data()).workers; ++worker) {
    if (SeatOf(file_.data(), worker).came_to.load() < step) return false;
  }
  return true;
}

bool TurnGiver::AllCameToEnd() const { return AllCameTo(HeadOf(file_.data()).granted.load()); }

bool TurnGiver::AwaitAll(int64_t step, absl::Duration limit) const {
  const MonotonicTime deadline = MonotonicNow() + limit;
  Head& head = HeadOf(file_.data());
  for (;;) {
    const uint32_t heard = head.giver_bell.load();
    if (AllCameTo(step)) return true;
    const absl::Duration left = deadline - MonotonicNow();
    if (left <= absl::ZeroDuration()) return false;
    SleepWhile(head.giver_bell, heard, left);
  }
}

double TurnGiver::Seconds() const {
  RM_CHECK(AllCameToEnd());
  return static_cast<double>(LastTime(file_.data(), 1) - LastTime(file_.data(), 0)) * 1e-9;
}

absl::StatusOr<std::unique_ptr<TurnTaker>> TurnTaker::Open(const std::string& path) {
  RM_ASSIGN_OR_RETURN(SharedFile file, SharedFile::Open("turns", path, sizeof(Head)));
  const Head& head = HeadOf(file.data());
  if (head.magic != kMagic || SizeFor(head.workers) != file.size())
    return absl::InvalidArgumentError(absl::StrCat("turns: ", path, " is none of their files"));
  return std::unique_ptr<TurnTaker>(new TurnTaker(std::move(file)));
}

absl::StatusOr<bool> TurnTaker::Await(int32_t rank, int64_t step,
                                      const std::function<absl::Status()>& run) {
  Head& head = HeadOf(file_.data());
  RM_CHECK(rank >= 0 && rank < head.workers && step >= 0 && step <= head.steps);
  Seat& seat = SeatOf(file_.data(), rank);
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

void TurnTaker::Rouse() { Ring(HeadOf(file_.data()).workers_bell); }

}  // namespace ringmaster
