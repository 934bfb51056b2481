#include "tests/experiments/study/predict/fault_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/config/describe.h"
#include "common/control/failures.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/placement.h"
#include "experiments/study/simulate/worker_gradients.h"
#include "gtest/gtest.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr double kBeatSeconds = 0.02;
constexpr double kTickSeconds = 0.02;
constexpr double kTryAgainSeconds = 0.2;
// How long a process that has failed waits for the run's status, and one that has said its last
// words for the answer (common/control/control_client.cc).
constexpr double kFailSeconds = 2;
constexpr double kLastWordsSeconds = 0.5;
constexpr double kJoinSeconds = 2;
// Of simulated time: what is not over by then hangs.
constexpr double kDeadline = 60;

// As a run has them (experiments/program/run/run_arm.cc).
LossRules LossRulesOf(const SchemeTraits& traits) {
  LossRules rules;
  rules.then = AfterLoss::kContinue;
  rules.goes_on_until = "end";
  const int32_t needed = traits.backup_workers > 0 ? traits.workers - traits.backup_workers : 1;
  rules.can_go_on = [needed, servers = traits.servers](const std::vector<NodeName>& left) {
    const auto held =
        std::count_if(left.begin(), left.end(), [](const NodeName& node) { return node.server(); });
    if (held < servers) return absl::FailedPreconditionError("a server is lost");
    return static_cast<int32_t>(left.size() - held) >= needed
               ? absl::OkStatus()
               : absl::FailedPreconditionError("an update needs more workers");
  };
  return rules;
}

ControlRules RulesFor(const RunSpec& spec, int32_t processes) {
  const SchemeTraits traits = TraitsOf(spec);
  ControlRules rules = RulesOf(processes);
  rules.join_limit = absl::Seconds(kJoinSeconds);
  rules.silence_limit = absl::Seconds(1);
  rules.waits.wait = absl::Seconds(4);
  rules.waits.asynchronous =
      traits.updates == Updates::kOnArrival && !traits.staleness_bound.has_value();
  if (traits.work == Work::kClaimed)
    rules.claims = {0, kSeededSteps * traits.workers, traits.workers, GoesOn(spec)};
  if (GoesOn(spec)) rules.losses = LossRulesOf(traits);
  return rules;
}

}  // namespace

// Noise of rank and step, and a pull to 0 that makes wrong weights felt in all later steps; or,
// where lots are counted, the digit of the lot (CountLots) and nothing else.
class FaultRun::Gradients : public WorkerGradients {
 public:
  explicit Gradients(FaultRun* run) : run_(*run) {}

  void Start(const GradientTask& task) override {
    run_.OnCompute(task);
    for (const Bucket& bucket : run_.layout_.buckets()) {
      const absl::Span<float> out = task.gradients.subspan(bucket.begin, bucket.count);
      if (run_.counts_) {
        Count(task.lot, bucket, out);
        continue;
      }
      Random random(MixSeed(MixSeed(task.rank, task.step), bucket.id));
      for (int64_t i = 0; i < bucket.count; ++i) {
        out[i] = (random.Normal() + task.weights[bucket.begin + i]) /
                 static_cast<float>(run_.setting_.workers);
      }
    }
  }
  absl::StatusOr<double> Await(int32_t rank) override { return 0; }

 private:
  void Count(int64_t lot, const Bucket& bucket, absl::Span<float> out) const {
    std::fill(out.begin(), out.end(), 0);
    for (int32_t server = 0; server < run_.traits_.servers; ++server) {
      const Range part = PartOnServer(bucket, run_.traits_.servers, server);
      if (part.count == 0) continue;
      out[part.begin - bucket.begin + lot % part.count] =
          static_cast<float>(int64_t{1} << (2 * (lot / part.count)));
    }
  }

  FaultRun& run_;
};

FaultRun::FaultRun(const Setting& setting, uint64_t seed, const Trajectory* expected)
    : setting_(setting),
      seed_(seed),
      expected_(expected),
      spec_(FaultSpecOf(setting)),
      traits_(TraitsOf(spec_)),
      counts_(CountsLots(spec_)),
      goes_on_(GoesOn(spec_)),
      layout_(GroupLayout(spec_, kSeededElements, kSeededBucketElements)),
      random_(seed),
      gradients_(std::make_unique<Gradients>(this)),
      run_{&spec_,
           &layout_,
           gradients_.get(),
           /*equal=*/nullptr,
           /*watches_memory=*/true,
           [](const absl::Status& why) { ADD_FAILURE() << why; }},
      slow_(setting.workers, 1),
      control_(RulesFor(spec_, static_cast<int32_t>(PlaceNodes(spec_).size()))),
      home_(setting.workers),
      settled_(setting.workers) {
  for (const std::vector<NodeId>& nodes : PlaceNodes(spec_)) {
    const auto index = static_cast<int32_t>(processes_.size());
    Process& process = processes_.emplace_back();
    process.nodes = nodes;
    process.moved.resize(nodes.size(), -1);
    for (const NodeId& node : nodes) {
      absl::StrAppend(&process.name, process.name.empty() ? "" : "+", ToString(node));
      if (node.role != Role::kWorker) continue;
      ++process.running;
      process.has_workers = true;
      home_[node.index] = index;
    }
  }
  const std::vector<float> weights =
      counts_ ? std::vector<float>(kSeededElements, 0) : SeededWeights();
  costs_ = DrawCosts(spec_, layout_, static_cast<int32_t>(processes_.size()), &random_);
  costs_.stretch = [this](int32_t rank, int64_t) { return slow_[rank]; };
  for (int32_t rank = 0; rank < setting.workers; ++rank) {
    progress_.push_back(std::make_unique<WorkerProgress>());
    workers_.push_back(*LearningWorker::Create(run_, weights, rank));
    data_.steps.push_back(workers_.back().get());
    data_.ranks.push_back(workers_.back().get());
    data_.workers.push_back(workers_.back().get());
  }
  for (int32_t index = 0; index < traits_.servers; ++index) {
    servers_.push_back(*LearningServer::Create(run_, weights, index));
    data_.servers.push_back(servers_.back().get());
    data_.parts.push_back(servers_.back()->parts());
  }
  plan_ = *PlanCluster(spec_, layout_.buckets(), costs_);
  cluster_ = *SimulatedCluster::Create(spec_, plan_, costs_, /*drift=*/0, data_);
  for (int32_t rank = 0; rank < setting.workers; ++rank) cluster_->exchange(rank).WatchWaits();
  const bool coordinator_in_first = expected != nullptr && random_.Below(4) == 0;
  world_ = std::make_unique<FaultWorld>(static_cast<int32_t>(processes_.size()),
                                        coordinator_in_first, &cluster_->queue());
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
  const absl::Status status = cluster_->Run([this] {
    ++events_;
    for (const Fault& fault : faults_) {
      if (fault.at_event == events_) Inject(fault);
    }
    return IsSettled() || cluster_->queue().now() > kDeadline;
  });
  ASSERT_TRUE(status.ok()) << status;
  CheckEnd();
}

void FaultRun::After(double seconds, const EventRoute& route, EventQueue::Action action) {
  EventQueue& queue = cluster_->queue();
  queue.At(queue.time() + static_cast<Nanoseconds>(seconds * 1e9), route, std::move(action));
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
  const absl::Duration now = absl::Nanoseconds(cluster_->queue().time());
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
      // In order, as on a stream.
      process.heard = std::max(process.heard, cluster_->queue().time()) + random_.Below(2'000'000);
      cluster_->queue().At(process.heard, {world_->coordinator(), world_->control(index)},
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
  if (!process.has_finished && !process.has_failed && IsDone(index)) {
    process.has_finished = true;
    FromProcess message;
    message.mutable_result();
    Say(index, std::move(message));
  }
  if (process.client.admitted()) Say(index, HeartbeatOf(index));
  if (goes_on_ && traits_.work == Work::kClaimed && !process.has_failed) {
    for (const NodeId& node : process.nodes) {
      if (node.role == Role::kWorker) Settle(index, node.index);
    }
  }
  InProcess(index, kBeatSeconds, [this, index] { Beat(index); });
}

void FaultRun::Say(int32_t index, FromProcess message) {
  Process& process = processes_[index];
  if (process.is_cut_off) return;
  process.said = std::max(process.said, cluster_->queue().time()) + random_.Below(2'000'000);
  cluster_->queue().At(process.said, {world_->control(index), world_->coordinator()},
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
  if (process.has_failed) return;
  if (message.has_welcome()) {
    world_->BeginNodes(index);
    if (process.has_workers) Arrive(index, "start");
  }
  if (message.has_release() && process.client.IsReleased(message.release().barrier()))
    Release(index, message.release().barrier());
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
  if (goes_on_) return;
  if (!process.client.welcomed() || process.has_finished || !process.client.status().ok()) return;
  SimulatedStepThread::Standing standing{0, "serve"};
  for (const NodeId& node : process.nodes) {
    if (node.role == Role::kWorker) standing = cluster_->thread(node.index).standing();
  }
  FailBecause(index, absl::UnavailableError(absl::StrCat(
                         process.name, " step=", standing.step, " phase=", standing.phase,
                         ": the connection to ", processes_[peer].name, " is lost")));
}

void FaultRun::FailBecause(int32_t index, const absl::Status& why) {
  Process& process = processes_[index];
  if (process.has_ended || std::exchange(process.has_failed, true)) return;
  world_->EndNodes(index);
  FromProcess message;
  *message.mutable_failure() = FailureOf(why);
  Say(index, std::move(message));
  SayLastWords(index);
  // The run's status comes back as an abort; it may name a better cause than this process saw.
  InProcess(index, kFailSeconds, [this, index, why] { Exit(index, why); });
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
  for (size_t i = 0; i < process.nodes.size(); ++i) {
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
  for (int32_t other = 0; other < world_->processes(); ++other) {
    if (other == index || !Talk(index, other)) continue;
    if (loses_all) world_->Break(index, other);
    if (!tells_breaks_) continue;
    After(Draw(5 * kMillisecond), {world_->control(index), world_->control(other)},
          [this, index, other] {
            world_->Break(index, other);
            LosePeer(other, index);
          });
  }
  EndStream(index, Draw(0.2));
}

void FaultRun::EndStream(int32_t index, double seconds) {
  Process& process = processes_[index];
  process.said = std::max(process.said, cluster_->queue().time());
  cluster_->queue().At(process.said + static_cast<Nanoseconds>(seconds * 1e9),
                       {world_->control(index), world_->coordinator()}, [this, index] {
                         if (!std::exchange(processes_[index].is_attached, false)) return;
                         Tell([&] { control_.Leave(index); });
                       });
}

}  // namespace ringmaster
