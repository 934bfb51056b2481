#include "tests/experiments/study/predict/fault_run.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/config/describe.h"
#include "common/control/failures.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/losses.h"
#include "experiments/program/run/placement.h"
#include "gtest/gtest.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr double kBeatSeconds = 0.02;
constexpr double kTickSeconds = 0.02;
constexpr double kTryAgainSeconds = 0.2;
// How long a thread that waits takes to go on, at most.
constexpr double kWakeSeconds = 0.002;
// How long a process that has failed waits for the run's status, and one that has said its last
// words for the answer (common/control/control_client.cc).
constexpr double kFailSeconds = 2;
constexpr double kLossFailSeconds = 60;
constexpr double kLastWordsSeconds = 0.5;
constexpr double kJoinSeconds = 2;
// Of simulated time: what is not over by then hangs.
constexpr double kDeadline = 60;

ControlRules RulesFor(const RunSpec& spec, int32_t processes) {
  const SchemeTraits traits = TraitsOf(spec);
  ControlRules rules = RulesOf(processes);
  rules.join_limit = absl::Seconds(kJoinSeconds);
  rules.silence_limit = absl::Seconds(1);
  rules.waits.wait = absl::Seconds(4);
  rules.waits.asynchronous =
      traits.updates == Updates::kOnArrival && !traits.staleness_bound.has_value();
  if (traits.work == Work::kClaimed)
    rules.claims = {0, kSeededSteps * traits.workers, traits.workers, PushesSayLots(spec)};
  rules.losses = LossRulesOf(spec);
  return rules;
}

}  // namespace

FaultRun::FaultRun(const Setting& setting, uint64_t seed, const Trajectory* expected)
    : setting_(setting),
      seed_(seed),
      expected_(expected),
      spec_(FaultSpecOf(setting)),
      traits_(TraitsOf(spec_)),
      counts_(CountsLots(spec_)),
      goes_on_(GoesOn(spec_)),
      deals_again_(PushesSayLots(spec_)),
      reforms_(MayReform(spec_)),
      is_exact_(CodecTraitsOf(spec_.codec())->exact && !traits_.weights_encoded),
      layout_(GroupLayout(spec_, kSeededElements, kSeededBucketElements)),
      random_(seed),
      control_(RulesFor(spec_, static_cast<int32_t>(PlaceNodes(spec_).size()))),
      processes_(PlaceNodes(spec_).size()),
      settled_(setting.workers) {
  common_.layout = &layout_;
  common_.initial_weights = counts_ ? std::vector<float>(kSeededElements, 0) : SeededWeights();
  common_.queue = &queue_;
  common_.on_compute = [this](FaultFormation* formation, const GradientTask& task) {
    OnCompute(formation, task);
  };
  common_.slowness = [this](int32_t process) { return slow_[process]; };
  slow_.resize(processes_.size(), 1);
  std::vector<int32_t> members(processes_.size());
  std::iota(members.begin(), members.end(), 0);
  const auto count = static_cast<int32_t>(members.size());
  formations_[0] =
      std::make_unique<FaultFormation>(common_, FormationPlace(), spec_, std::move(members),
                                       DrawCosts(spec_, layout_, count, &random_));
  for (int32_t index = 0; index < count; ++index) {
    Process& process = processes_[index];
    process.nodes = PlaceNodes(spec_)[index];
    process.name = NamesOf(process.nodes);
    process.moved.resize(process.nodes.size(), -1);
    process.formation = formations_[0].get();
    process.has_workers = Has(index, Role::kWorker);
    if (!reforms_) continue;
    process.kept.resize(process.nodes.size());
    std::vector<NodeStates*> states;
    for (KeptSimulatedNode& node : process.kept) states.push_back(&node);
    process.core.emplace(spec_, index, std::move(states));
  }
  const bool coordinator_in_first = expected != nullptr && random_.Below(4) == 0;
  world_ = std::make_unique<FaultWorld>(count, coordinator_in_first, &queue_);
  tells_breaks_ = random_.Below(4) > 0;
  if (expected != nullptr) DrawFaults(expected->events);
}

FaultRun::~FaultRun() = default;

void FaultRun::Run() {
  for (int32_t process = 0; process < world_->processes(); ++process) {
    InProcess(process, Draw(2 * kMillisecond), [this, process] { Join(process); });
    InProcess(process, Draw(kBeatSeconds), [this, process] { Beat(process); });
    InProcess(process, kJoinSeconds + 1, [this, process] {
      if (!processes_[process].client.admitted())
        Exit(process, absl::DeadlineExceededError("no coordinator has answered"));
    });
  }
  After(0, {world_->coordinator(), world_->coordinator()}, [this] { Tick(); });
  do {
    ++events_;
    for (const Fault& fault : faults_) {
      if (fault.at_event == events_) Inject(fault);
    }
    const absl::Status& status = last().cluster().network().status();
    ASSERT_TRUE(status.ok()) << status;
  } while (!IsSettled() && queue_.now() <= kDeadline && queue_.RunNext());
  CheckEnd();
}

void FaultRun::After(double seconds, const EventRoute& route, EventQueue::Action action) {
  queue_.At(queue_.time() + static_cast<Nanoseconds>(seconds * 1e9), route, std::move(action));
}

void FaultRun::InProcess(int32_t process, double seconds, EventQueue::Action action) {
  After(seconds, {world_->control(process), world_->control(process)}, std::move(action));
}

bool FaultRun::IsSettled() const {
  const auto has_ended = [](const Process& process) {
    return process.has_ended || process.is_lost;
  };
  return (control_.core().is_over() || coordinator_lost_) &&
         std::all_of(processes_.begin(), processes_.end(), has_ended);
}

// The coordinator's clock goes with the simulation's; then what it has sent goes its way.
void FaultRun::Tell(const std::function<void()>& event) {
  const absl::Duration now = absl::Nanoseconds(queue_.time());
  control_.Pass(now - control_time_);
  control_time_ = now;
  event();
  const std::vector<ProcessState> states = control_.core().Processes();
  for (size_t index = 0; index < states.size(); ++index)
    processes_[index].is_forgotten = states[index].lost;
  for (int32_t index = 0; index < world_->processes(); ++index) {
    Process& process = processes_[index];
    for (; process.messages < control_.heard(index).size(); ++process.messages) {
      const ToProcess message = control_.heard(index)[process.messages];
      if (message.has_release()) CheckRelease(message.release().barrier());
      // In order, as on a stream.
      process.heard = std::max(process.heard, queue_.time()) + random_.Below(2'000'000);
      queue_.At(process.heard, {world_->coordinator(), world_->control(index)},
                [this, index, message, stream = process.attached_stream] {
                  if (processes_[index].stream == stream) Hear(index, message);
                });
    }
  }
}

void FaultRun::Tick() {
  Tell([] {});
  if (control_.core().is_over()) return;
  After(kTickSeconds, {world_->coordinator(), world_->coordinator()}, [this] { Tick(); });
}

void FaultRun::Join(int32_t index) {
  ringmaster::Join join = JoinOf(index, world_->processes());
  join.clear_nodes();
  for (const NodeId& node : processes_[index].nodes) {
    NodeName* name = join.add_nodes();
    name->set_server(node.role == Role::kServer);
    name->set_index(node.index);
  }
  if (!processes_[index].has_workers) join.clear_kernel_target();
  After(Draw(2 * kMillisecond), {world_->control(index), world_->coordinator()},
        [this, index, join, stream = processes_[index].stream] {
          Process& process = processes_[index];
          if (!process.is_attached) process.attached_stream = stream;
          absl::Status answer;
          Tell([&] { answer = control_.Join(join); });
          if (answer.ok()) {
            process.is_attached = true;
          } else {
            Answer(index, answer);
          }
        });
}

void FaultRun::Answer(int32_t index, const absl::Status& answer) {
  ToProcess message;
  *message.mutable_abort() = FailureOf(answer);
  After(Draw(2 * kMillisecond), {world_->coordinator(), world_->control(index)},
        [this, index, message] { Hear(index, message); });
}

void FaultRun::Beat(int32_t index) {
  Process& process = processes_[index];
  if (process.has_ended) return;
  if (!process.has_finished && !process.has_failed && !process.client.regroups() && IsDone(index)) {
    process.has_finished = true;
    FromProcess message;
    message.mutable_result();
    Say(index, std::move(message));
  }
  if (process.client.admitted()) Say(index, HeartbeatOf(index));
  if (deals_again_ && !process.has_failed) {
    for (const NodeId& node : process.nodes) {
      if (node.role == Role::kWorker) Settle(index, node.index);
    }
  }
  InProcess(index, kBeatSeconds, [this, index] { Beat(index); });
}

void FaultRun::Say(int32_t index, FromProcess message) {
  Process& process = processes_[index];
  if (process.is_cut_off) return;
  process.said = std::max(process.said, queue_.time()) + random_.Below(2'000'000);
  queue_.At(process.said, {world_->control(index), world_->coordinator()},
            [this, index, message = std::move(message)] {
              Process& process = processes_[index];
              if (!process.is_attached) return;
              if (message.has_heartbeat() && !control_.core().is_over()) {
                process.beat_step = message.heartbeat().step();
                process.beat_phase = message.heartbeat().phase();
              }
              Tell([&] { control_.Say(index, message); });
            });
}

void FaultRun::Hear(int32_t index, const ToProcess& message) {
  Process& process = processes_[index];
  if (process.has_ended || process.is_cut_off) return;
  const absl::Status failure = process.client.OnMessage(message);
  if (!failure.ok()) return EndBecause(index, failure);
  if (message.has_noted() && !process.client.status().ok())
    return Exit(index, process.client.status());
  if (message.has_goodbye()) return Exit(index, absl::OkStatus());
  if (message.has_regroup()) return HearOfLoss(index);
  if (message.has_welcome() && message.welcome().epoch() > 0) return AwaitFormation(index);
  if (process.has_failed) return;
  if (message.has_welcome()) Begin(index);
  if (message.has_release())
    InProcess(index, Draw(kWakeSeconds), [this, index] { PassBarrier(index); });
  if (message.has_lots()) TakeLots(index);
  if (message.has_lost()) Forget(index, message.lost().process());
}

// The process finds its stream ended.
void FaultRun::LoseCoordinator(int32_t index) {
  Process& process = processes_[index];
  if (process.has_ended) return;
  const absl::Status failure =
      process.client.OnStreamEnd(absl::UnavailableError("the coordinator at [::1]:1 is gone"));
  if (!failure.ok()) return EndBecause(index, failure);
  if (!process.client.hung_up()) return;
  process.client.OnRetry();
  process.is_cut_off = false;
  ++process.stream;
  InProcess(index, kTryAgainSeconds, [this, index] { Join(index); });
}

// The process finds that a connection to another one has broken.
void FaultRun::LosePeer(int32_t index, int32_t peer) {
  const Process& process = processes_[index];
  // A fabric that outlives its peers waits until it is told to forget one.
  if (goes_on_ || process.formation == nullptr) return;
  if (!process.client.welcomed() || process.has_finished || !process.client.status().ok()) return;
  SimulatedStepThread::Standing standing{0, "serve"};
  for (const NodeId& node : process.nodes) {
    if (node.role == Role::kWorker)
      standing = process.formation->cluster().thread(node.index).standing();
  }
  FailBecause(index, absl::UnavailableError(absl::StrCat(
                         process.name, " step=", standing.step, " phase=", standing.phase,
                         ": the connection to ", processes_[peer].name, " is lost")));
}

void FaultRun::FailBecause(int32_t index, const absl::Status& why) {
  Process& process = processes_[index];
  // What follows from a loss that it knows of is no failure of it.
  if (process.client.regroups()) return;
  if (process.has_ended || std::exchange(process.has_failed, true)) return;
  ++process.failures;
  world_->EndNodes(index);
  FromProcess message;
  *message.mutable_failure() = FailureOf(why);
  Say(index, std::move(message));
  SayLastWords(index);
  // The run's status comes back as an abort; it may name a better cause than this process saw.
  InProcess(index, reforms_ ? kLossFailSeconds : kFailSeconds,
            [this, index, why, failures = process.failures] {
              const Process& process = processes_[index];
              if (process.has_failed && process.failures == failures) Exit(index, why);
            });
}

void FaultRun::EndBecause(int32_t index, const absl::Status& why) {
  world_->EndNodes(index);
  SayLastWords(index);
  InProcess(index, kLastWordsSeconds, [this, index, why] { Exit(index, why); });
}

void FaultRun::SayLastWords(int32_t index) {
  Process& process = processes_[index];
  if (!process.client.welcomed() || std::exchange(process.said_last_words, true)) return;
  FromProcess message;
  message.mutable_last_words();
  for (size_t i = 0; process.formation != nullptr && i < process.nodes.size(); ++i) {
    *message.mutable_last_words()->add_nodes()->mutable_activity() =
        ActivityOf(&process, process.nodes[i], i);
  }
  Say(index, std::move(message));
}

void FaultRun::Exit(int32_t index, const absl::Status& status) {
  Process& process = processes_[index];
  if (std::exchange(process.has_ended, true)) return;
  process.status = status;
  process.client.OnClose();
  world_->EndNodes(index);
  CloseConnections(index);
}

void FaultRun::CloseConnections(int32_t index) {
  const bool loses_all = random_.Below(2) == 0;
  FaultFormation* const formation = processes_[index].formation;
  for (int32_t other = 0; other < world_->processes(); ++other) {
    if (formation == nullptr || other == index || !Talk(index, other)) continue;
    const int32_t own = world_->nodes(index);
    if (processes_[other].formation != formation) continue;
    if (loses_all) world_->Break(own, world_->nodes(other));
    if (!tells_breaks_) continue;
    After(Draw(5 * kMillisecond), {world_->control(index), world_->control(other)},
          [this, formation, own, index, other] {
            if (processes_[other].formation != formation) return;
            world_->Break(own, world_->nodes(other));
            LosePeer(other, index);
          });
  }
  EndStream(index, Draw(0.2));
}

void FaultRun::EndStream(int32_t index, double seconds) {
  Process& process = processes_[index];
  process.said = std::max(process.said, queue_.time());
  queue_.At(process.said + static_cast<Nanoseconds>(seconds * 1e9),
            {world_->control(index), world_->coordinator()}, [this, index] {
              if (!std::exchange(processes_[index].is_attached, false)) return;
              Tell([&] { control_.Leave(index); });
            });
}

}  // namespace ringmaster
