#include "experiments/program/run/faults/injected_faults.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/shared_futex.h"
#include "common/base/status_macros.h"
#include "experiments/program/run/faults/cut_connections.h"

namespace ringmaster {
namespace {

constexpr uint64_t kMagic = 0x726d6661756c7431;

struct Head {
  uint64_t magic;
  int64_t faults;
  std::atomic<int64_t> joined_ns;  // 0: not yet
  std::atomic<uint32_t> bell;      // a futex: moves when a fault has become due
};
static_assert(std::atomic<int64_t>::is_always_lock_free, "processes share it");

// A fault's, behind the head.
struct Entry {
  char text[kFaultTextLimit + 1];
  std::atomic<uint32_t> due;      // some worker has begun the step
  std::atomic<int64_t> begun_ns;  // 0: not yet; by whoever does it, before it does
  std::atomic<int64_t> pid;       // of whom it is done to
  std::atomic<uint32_t> went_on;  // who was stopped runs again
  std::atomic<uint32_t> failed;
};

Head& HeadOf(void* memory) { return *static_cast<Head*>(memory); }

Entry& EntryOf(void* memory, size_t index) {
  constexpr size_t kEntriesAt =
      (sizeof(Head) + alignof(Entry) - 1) / alignof(Entry) * alignof(Entry);
  return reinterpret_cast<Entry*>(static_cast<char*>(memory) + kEntriesAt)[index];
}

int64_t SizeFor(int64_t faults) {
  return static_cast<int64_t>(sizeof(Entry)) * (faults + 1) + static_cast<int64_t>(sizeof(Head));
}

// The same clock in every process, also of one that was stopped.
int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

void Ring(std::atomic<uint32_t>& bell) {
  bell.fetch_add(1);
  WakeSleepers(bell);
}

// Of a fault by the clock: its moment. REQUIRES: all have joined.
int64_t MomentOf(const Fault& fault, int64_t joined_ns) {
  return joined_ns + absl::ToInt64Nanoseconds(absl::Seconds(fault.seconds));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FaultGiver>> FaultGiver::Create(const std::vector<Fault>& faults) {
  RM_ASSIGN_OR_RETURN(SharedFile file,
                      SharedFile::Create("faults", SizeFor(static_cast<int64_t>(faults.size()))));
  for (size_t i = 0; i < faults.size(); ++i)
    std::memcpy(EntryOf(file.data(), i).text, faults[i].text.data(), faults[i].text.size());
  HeadOf(file.data()).faults = static_cast<int64_t>(faults.size());
  HeadOf(file.data()).magic = kMagic;
  return std::unique_ptr<FaultGiver>(new FaultGiver(std::move(file), faults));
}

void FaultGiver::LetGoOn() {
  for (size_t i = 0; i < faults_.size(); ++i) {
    const Entry& entry = EntryOf(file_.data(), i);
    const int64_t begun = entry.begun_ns.load();
    if (begun == 0 || !faults_[i].lasts.has_value() || entry.went_on.load() != 0) continue;
    if (Now() < begun + absl::ToInt64Nanoseconds(*faults_[i].lasts)) continue;
    // Until it says that it runs: the first one may come before it has stopped.
    kill(static_cast<pid_t>(entry.pid.load()), SIGCONT);
  }
}

void FaultGiver::RunIsOver() { over_ns_ = Now(); }

FaultGiver::Outcome FaultGiver::OutcomeOf(size_t index) const {
  const Entry& entry = EntryOf(file_.data(), index);
  Outcome outcome;
  const int64_t begun = entry.begun_ns.load();
  // What comes to a process that ends, behind the run, is none of the run.
  if (begun == 0 || (over_ns_.has_value() && begun > *over_ns_)) return outcome;
  outcome.seconds = static_cast<double>(begun - HeadOf(file_.data()).joined_ns.load()) / 1e9;
  outcome.until_the_end = static_cast<double>(over_ns_.value_or(Now()) - begun) / 1e9;
  if (entry.failed.load() != 0) outcome.failure = "it had no connection to cut";
  return outcome;
}

absl::StatusOr<std::unique_ptr<FaultTaker>> FaultTaker::Open(const std::string& path,
                                                             std::vector<NodeId> nodes,
                                                             const HostPort& coordinator) {
  RM_ASSIGN_OR_RETURN(SharedFile file, SharedFile::Open("faults", path, SizeFor(0)));
  if (HeadOf(file.data()).magic != kMagic || SizeFor(HeadOf(file.data()).faults) != file.size())
    return absl::InvalidArgumentError(absl::StrCat("faults: ", path, " is none of their files"));
  std::unique_ptr<FaultTaker> taker(
      new FaultTaker(std::move(file), std::move(nodes), coordinator.port));
  void* const memory = taker->file_.data();
  bool is_awaited = false;
  for (int64_t i = 0; i < HeadOf(memory).faults; ++i) {
    const char* text = EntryOf(memory, i).text;
    RM_ASSIGN_OR_RETURN(Fault fault, ParseFault({text, strnlen(text, kFaultTextLimit)}));
    const bool at_own_step = fault.step.has_value() && fault.target.role == Role::kWorker;
    is_awaited |= taker->LivesHere(fault.target) && !at_own_step;
    taker->faults_.push_back(std::move(fault));
  }
  if (is_awaited) taker->thread_ = std::thread([taker = taker.get()] { taker->Watch(); });
  return taker;
}

FaultTaker::FaultTaker(SharedFile file, std::vector<NodeId> nodes, int kept_port)
    : file_(std::move(file)), nodes_(std::move(nodes)), kept_port_(kept_port) {}

FaultTaker::~FaultTaker() {
  stopping_.store(true);
  Ring(HeadOf(file_.data()).bell);
  if (thread_.joinable()) thread_.join();
}

bool FaultTaker::LivesHere(NodeId node) const {
  return std::find(nodes_.begin(), nodes_.end(), node) != nodes_.end();
}

void FaultTaker::Joined() {
  int64_t none = 0;
  if (HeadOf(file_.data()).joined_ns.compare_exchange_strong(none, Now()))
    Ring(HeadOf(file_.data()).bell);
}

double FaultTaker::OnStep(int32_t rank, int64_t step) {
  for (size_t i = 0; i < faults_.size(); ++i) {
    const Fault& fault = faults_[i];
    Entry& entry = EntryOf(file_.data(), i);
    const bool is_own = fault.target == NodeId{Role::kWorker, rank};
    if (fault.step.has_value() && step >= *fault.step && entry.begun_ns.load() == 0) {
      if (is_own) {
        Do(i);
      } else if (fault.target.role == Role::kServer && entry.due.exchange(1) == 0) {
        Ring(HeadOf(file_.data()).bell);
      }
    }
  }
  return SlownessOf(rank);
}

double FaultTaker::SlownessOf(int32_t rank) const {
  double factor = 1;
  for (size_t i = 0; i < faults_.size(); ++i) {
    const Fault& fault = faults_[i];
    const bool slows =
        fault.action == Fault::Action::kSlow && fault.target == NodeId{Role::kWorker, rank};
    if (slows && EntryOf(file_.data(), i).begun_ns.load() != 0) factor *= fault.factor;
  }
  return factor;
}

void FaultTaker::Do(size_t index) {
  Entry& entry = EntryOf(file_.data(), index);
  entry.pid.store(getpid());
  int64_t never = 0;
  if (!entry.begun_ns.compare_exchange_strong(never, Now())) return;
  switch (faults_[index].action) {
    case Fault::Action::kKill:
      kill(getpid(), SIGKILL);
      return;
    case Fault::Action::kStop:
      // To this very thread. A signal to the process goes to its main thread, and until that has a
      // core, this one makes further steps.
      raise(SIGSTOP);
      entry.went_on.store(1);
      return;
    case Fault::Action::kSlow:
      return;  // SlownessOf says it
    case Fault::Action::kCut:
      if (!CutConnections(kept_port_).ok()) entry.failed.store(1);
      return;
  }
}

void FaultTaker::Watch() {
  Head& head = HeadOf(file_.data());
  while (!stopping_.load()) {
    const uint32_t heard = head.bell.load();
    const int64_t joined = head.joined_ns.load();
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < faults_.size(); ++i) {
      const Fault& fault = faults_[i];
      const Entry& entry = EntryOf(file_.data(), i);
      if (!LivesHere(fault.target) || entry.begun_ns.load() != 0) continue;
      if (fault.step.has_value() ? entry.due.load() != 0
                                 : joined != 0 && Now() >= MomentOf(fault, joined)) {
        Do(i);
      } else if (!fault.step.has_value() && joined != 0) {
        next = std::min(next, MomentOf(fault, joined));
      }
    }
    SleepWhile(head.bell, heard, absl::Nanoseconds(next == INT64_MAX ? next : next - Now()));
  }
}

}  // namespace ringmaster
