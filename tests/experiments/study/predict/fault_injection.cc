// Which faults a seed has, and what each of them does.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/experiments/study/predict/fault_run.h"

namespace ringmaster {
namespace {

// Less than any limit; more than all of them; and for ever.
constexpr double kShortSeconds = 0.4;
constexpr double kLongSeconds[] = {1.5, 8};
// From one loss to the one that comes while the group is formed anew, in events.
constexpr uint64_t kSoonEvents = 300;
// A stream that stands still for so long is given up by the process.
constexpr double kKeepAliveSeconds = 20;

const char* const kNames[kFaultKinds] = {"kill",  "stop",    "slow",      "cut",
                                         "break", "hang up", "join twice"};

}  // namespace

std::string ToString(const Fault& fault) {
  return absl::StrCat(kNames[static_cast<int>(fault.kind)], " process ", fault.process, " other ",
                      fault.other, " at event ", fault.at_event, " for ", fault.seconds,
                      " s, factor ", fault.factor);
}

void FaultRun::DrawFaults(int64_t events) {
  const uint64_t drawn = random_.Below(8);
  int faults = drawn == 0 ? 0 : drawn == 1 ? 2 : 1;
  if (reforms_ && drawn > 3) faults = drawn == 7 ? 3 : 2;
  for (int i = 0; i < faults; ++i) {
    Fault fault = DrawFault(events);
    // A group that is formed anew loses one more meanwhile, or in the steps that it makes again.
    if (reforms_ && random_.Below(2) == 0) fault.kind = FaultKind::kKill;
    if (reforms_ && i > 0) {
      const auto later = static_cast<int64_t>(random_.Below(2) == 0 ? random_.Below(kSoonEvents)
                                                                    : random_.Below(events));
      fault.at_event = faults_.back().at_event + later;
    }
    faults_.push_back(fault);
  }
}

Fault FaultRun::DrawFault(int64_t events) {
  const auto processes = static_cast<uint64_t>(world_->processes());
  Fault fault;
  fault.kind = static_cast<FaultKind>(random_.Below(kFaultKinds));
  fault.at_event = 1 + static_cast<int64_t>(random_.Below(events * 21 / 20));
  fault.process = static_cast<int32_t>(random_.Below(processes));
  fault.factor = 2 + Draw(50);
  const uint64_t length = random_.Below(3);
  if (length == 0) fault.seconds = Draw(kShortSeconds);
  if (length == 1) fault.seconds = kLongSeconds[0] + Draw(kLongSeconds[1] - kLongSeconds[0]);
  // The others of the run, and one for the coordinator's place.
  const auto others = static_cast<int32_t>(random_.Below(processes + 1)) - 1;
  fault.other = others == fault.process ? -1 : others;
  return fault;
}

void FaultRun::Inject(const Fault& fault) {
  const Process& process = processes_[fault.process];
  const bool is_free =
      !process.has_ended && world_->is_there(fault.process) && !world_->is_stopped(fault.process);
  if (!is_free || coordinator_lost_) return;
  happened_.push_back(fault);
  switch (fault.kind) {
    case FaultKind::kKill:
      return Kill(fault);
    case FaultKind::kStop:
      return Stop(fault);
    case FaultKind::kSlow:
      slow_[fault.process] = fault.factor;
      return;
    case FaultKind::kCut:
      return Cut(fault);
    case FaultKind::kBreak:
      return Break(fault);
    case FaultKind::kHangUp:
      return HangUp(fault);
    case FaultKind::kJoinTwice:
      return JoinTwice(fault);
  }
}

void FaultRun::Suspect(int32_t process) {
  suspects_.insert(process);
  may_fail_ = true;
}

// The process is lost before its work is done.
void FaultRun::MustFailWithout(int32_t process) {
  const bool goes_on =
      (goes_on_ || reforms_) && !Has(process, Role::kServer) && world_->coordinator_is_there();
  must_fail_ = must_fail_ || !(goes_on || processes_[process].has_finished);
}

bool FaultRun::Has(int32_t process, Role role) const {
  const std::vector<NodeId>& nodes = processes_[process].nodes;
  return std::any_of(nodes.begin(), nodes.end(),
                     [role](const NodeId& node) { return node.role == role; });
}

// Whether the nodes of the two send each other anything.
bool FaultRun::Talk(int32_t a, int32_t b) const {
  if (traits_.weights == WeightHolder::kWorkers) return true;
  return (Has(a, Role::kWorker) && Has(b, Role::kServer)) ||
         (Has(b, Role::kWorker) && Has(a, Role::kServer));
}

void FaultRun::Kill(const Fault& fault) {
  const int32_t index = fault.process;
  Process& process = processes_[index];
  Suspect(index);
  MustFailWithout(index);
  process.is_lost = true;
  world_->Kill(index);
  if (!world_->coordinator_is_there()) {
    coordinator_lost_ = true;
    for (int32_t other = 1; other < world_->processes(); ++other)
      InProcess(other, Draw(5 * kMillisecond), [this, other] { LoseCoordinator(other); });
  }
  // What it died of may be seen at once, be said by whoever started it, or stay unknown.
  const std::string how = "signal 9 (Killed)";
  const uint64_t seen = random_.Below(3);
  if (seen == 0) control_.witness.ended[1000 + index] = how;
  if (seen == 1 && !world_->coordinator_in_first()) {
    After(Draw(0.4), {world_->outside(), world_->coordinator()},
          [this, index, how] { Tell([&] { control_.NoteEnd(index, how); }); });
  }
  CloseConnections(index);
}

void FaultRun::Stop(const Fault& fault) {
  const int32_t index = fault.process;
  // Nobody notices that a coordinator is suspended.
  const bool leads = world_->coordinator_in_first() && index == 0;
  const double seconds = leads ? std::min(std::abs(fault.seconds), kShortSeconds) : fault.seconds;
  const bool forever = seconds < 0;
  world_->Stop(index);
  if (random_.Below(2) == 0) control_.witness.suspended.insert(1000 + index);
  if (forever || seconds > kShortSeconds) Suspect(index);
  if (forever) {
    processes_[index].is_lost = true;
    MustFailWithout(index);
    return;
  }
  After(seconds, {world_->outside(), world_->outside()}, [this, index] {
    control_.witness.suspended.erase(1000 + index);
    world_->GoOn(index);
  });
}

void FaultRun::Cut(const Fault& fault) {
  const int32_t a = fault.process;
  // The coordinator's place.
  const int32_t b = fault.other >= 0 ? fault.other : world_->coordinator_in_first() ? 0 : -1;
  if (a == b) return;
  const bool forever = fault.seconds < 0;
  world_->Cut(a, b);
  if (forever || fault.seconds > kShortSeconds) {
    Suspect(a);
    if (b >= 0) Suspect(b);
  }
  if (!forever) {
    After(fault.seconds, {world_->outside(), world_->outside()},
          [this, a, b] { world_->Heal(a, b); });
    return;
  }
  // Between a process and its coordinator.
  const bool in_first = world_->coordinator_in_first();
  if (b >= 0 && !(in_first && (a == 0 || b == 0))) return;
  const int32_t far = in_first && a == 0 ? b : a;
  MustFailWithout(far);
  InProcess(far, kKeepAliveSeconds, [this, far] { LoseCoordinator(far); });
}

void FaultRun::Break(const Fault& fault) {
  const int32_t a = fault.process;
  const int32_t b = fault.other;
  if (b < 0 || !Talk(a, b)) return;
  FaultFormation* const formation = processes_[a].formation;
  if (formation == nullptr || processes_[b].formation != formation) return;
  Suspect(a);
  Suspect(b);
  world_->Break(world_->nodes(a), world_->nodes(b));
  if (!tells_breaks_) return;
  for (const auto& [own, other] : {std::pair(a, b), std::pair(b, a)}) {
    InProcess(own, Draw(5 * kMillisecond), [this, formation, own = own, other = other] {
      if (processes_[own].formation == formation) LosePeer(own, other);
    });
  }
}

void FaultRun::HangUp(const Fault& fault) {
  const int32_t index = fault.process;
  Process& process = processes_[index];
  if (!process.is_attached || process.is_cut_off) return;
  Suspect(index);
  MustFailWithout(index);
  process.is_cut_off = true;
  if (random_.Below(2) == 0) control_.witness.there.insert(1000 + index);
  InProcess(index, Draw(5 * kMillisecond), [this, index] { LoseCoordinator(index); });
  EndStream(index, Draw(0.2));
}

// Whoever comes is turned away, and the run is none the worse for it.
void FaultRun::JoinTwice(const Fault& fault) {
  const int32_t index = fault.process;
  const bool is_stranger = random_.Below(2) == 0;
  After(0, {world_->outside(), world_->coordinator()}, [this, index, is_stranger] {
    const ringmaster::Join join = JoinOf(index, world_->processes());
    const bool was_over = control_.core().is_over();
    if (is_stranger || !processes_[index].is_attached) {
      Tell([&] { control_.ComeAStranger(join); });
    } else {
      Tell([&] { EXPECT_TRUE(absl::IsAlreadyExists(control_.Join(join))); });
    }
    EXPECT_EQ(control_.core().is_over(), was_over);
  });
}

}  // namespace ringmaster
