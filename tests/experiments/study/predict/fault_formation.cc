#include "tests/experiments/study/predict/fault_formation.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/config/describe.h"
#include "common/exchange/parts.h"
#include "common/scheme/registry.h"
#include "common/state/state.h"
#include "gtest/gtest.h"
#include "server/shard_core.h"
#include "tests/experiments/study/predict/seeded_setting.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {
namespace {

// Of a sample, and of the weights that it is computed with: in multiples of 1/64, so that a global
// batch has the same sum to the bit, whoever computes which part of it.
constexpr float kGrain = 1.0f / 64;
constexpr int kGrainsMax = 8;

float GrainOf(float weight) {
  return std::clamp(std::round(weight * 4), -1.0f * kGrainsMax, 1.0f * kGrainsMax) * kGrain;
}

}  // namespace

// Where lots are counted, the digit of the lot (CountLots) and nothing else. Otherwise noise of
// rank and step, or of the sample where the group may be formed anew, and a pull to 0 that makes
// wrong weights felt in all later steps.
class FaultFormation::Gradients : public WorkerGradients {
 public:
  explicit Gradients(FaultFormation* formation) : of_(*formation) {}

  void Start(const GradientTask& task) override {
    of_.setting_.on_compute(&of_, task);
    const bool counts = CountsLots(of_.spec_);
    for (const Bucket& bucket : of_.setting_.layout->buckets()) {
      const absl::Span<float> out = task.gradients.subspan(bucket.begin, bucket.count);
      if (counts) {
        Count(task.lot, bucket, out);
      } else if (MayReform(of_.spec_)) {
        AddSamples(task, bucket, out);
      } else {
        Random random(MixSeed(MixSeed(task.rank, task.step), bucket.id));
        for (int64_t i = 0; i < bucket.count; ++i) {
          out[i] = (random.Normal() + task.weights[bucket.begin + i]) /
                   static_cast<float>(of_.workers());
        }
      }
    }
  }
  absl::StatusOr<double> Await(int32_t rank) override { return 0; }

 private:
  void Count(int64_t lot, const Bucket& bucket, absl::Span<float> out) const {
    std::fill(out.begin(), out.end(), 0);
    for (int32_t server = 0; server < of_.traits_.servers; ++server) {
      const Range part = PartOnServer(bucket, of_.traits_.servers, server);
      if (part.count == 0) continue;
      out[part.begin - bucket.begin + lot % part.count] =
          static_cast<float>(int64_t{1} << (2 * (lot / part.count)));
    }
  }

  void AddSamples(const GradientTask& task, const Bucket& bucket, absl::Span<float> out) const {
    const int64_t samples = GlobalBatch(of_.spec_) / of_.workers();
    for (int64_t i = 0; i < bucket.count; ++i)
      out[i] = static_cast<float>(samples) * GrainOf(task.weights[bucket.begin + i]);
    for (int64_t sample = task.lot * samples; sample < (task.lot + 1) * samples; ++sample) {
      Random random(MixSeed(sample, bucket.id));
      for (float& element : out) {
        element +=
            static_cast<float>(static_cast<int>(random.Below(2 * kGrainsMax + 1)) - kGrainsMax) *
            kGrain;
      }
    }
  }

  FaultFormation& of_;
};

// A worker that keeps its state before each step, and the model at marks.
class FaultFormation::KeepingWorker : public StepData {
 public:
  KeepingWorker(FaultFormation* formation, int32_t rank)
      : of_(*formation), rank_(rank), worker_(formation->worker(rank)) {}

  void KeepIn(KeptSteps* steps) { steps_ = steps; }

  void Compute(int64_t step, int64_t lot) override {
    if (steps_ != nullptr) steps_->Keep(step, Give());
    worker_.Compute(step, lot);
  }
  void Update(int64_t step) override { worker_.Update(step); }
  void StepEnded(int64_t step) override {
    worker_.StepEnded(step);
    if (of_.marks_[rank_] != nullptr) of_.marks_[rank_]->StepEnded(step);
  }

  void Take(State state) {
    if (const SimulatedPsWorker* const core = exchange(); core != nullptr) {
      State own = state.TakePart("strategy");
      int64_t step = 0;
      std::vector<int64_t> versions(core->core().front_versions().size());
      ASSERT_TRUE(own.CopyTo({{"step", &step}, {"versions", absl::MakeSpan(versions)}}).ok());
      exchange()->BeginAt(step, versions);
    }
    const absl::Status taken = worker_.Take(state);
    ASSERT_TRUE(taken.ok()) << taken;
  }

 private:
  SimulatedPsWorker* exchange() const {
    if (of_.traits_.weights != WeightHolder::kServers) return nullptr;
    return static_cast<SimulatedPsWorker*>(&of_.cluster_->exchange(rank_));
  }

  State Give() const {
    absl::StatusOr<State> state = worker_.Give();
    EXPECT_TRUE(state.ok()) << state.status();
    if (const SimulatedPsWorker* const core = exchange(); core != nullptr) {
      State strategy;
      strategy.AddInteger("step", core->core().ended());
      strategy.AddIntegers("versions", core->core().front_versions());
      state->AddPart("strategy", std::move(strategy));
    }
    return *std::move(state);
  }

  FaultFormation& of_;
  const int32_t rank_;
  LearningWorker& worker_;
  KeptSteps* steps_ = nullptr;  // null: nobody goes back
};

FaultFormation::FaultFormation(const Setting& setting, const FormationPlace& place,
                               const RunSpec& spec, std::vector<int32_t> members, Costs costs)
    : place_(place),
      spec_(spec),
      traits_(TraitsOf(spec_)),
      members_(std::move(members)),
      setting_(setting),
      home_(traits_.workers),
      gradients_(std::make_unique<Gradients>(this)),
      run_{&spec_,
           setting.layout,
           gradients_.get(),
           /*equal=*/nullptr,
           /*watches_memory=*/true,
           [](const absl::Status& why) { ADD_FAILURE() << why; }},
      costs_(std::move(costs)),
      progress_(traits_.workers),
      marks_(traits_.workers) {
  const std::vector<std::vector<NodeId>> processes = PlaceNodes(spec_);
  RM_CHECK(processes.size() == members_.size());
  for (size_t index = 0; index < processes.size(); ++index) {
    for (const NodeId& node : processes[index]) {
      if (node.role == Role::kWorker) home_[node.index] = members_[index];
    }
  }
  costs_.stretch = [this](int32_t rank, int64_t) { return setting_.slowness(home_[rank]); };
  data_.queue = setting.queue;
  for (int32_t rank = 0; rank < traits_.workers; ++rank) {
    workers_.push_back(*LearningWorker::Create(run_, setting.initial_weights, rank));
    keepers_.push_back(std::make_unique<KeepingWorker>(this, rank));
    data_.steps.push_back(keepers_.back().get());
    data_.ranks.push_back(workers_.back().get());
    data_.workers.push_back(workers_.back().get());
  }
  for (int32_t index = 0; index < traits_.servers; ++index) {
    servers_.push_back(*LearningServer::Create(run_, setting.initial_weights, index));
    data_.servers.push_back(servers_.back().get());
    data_.parts.push_back(servers_.back()->parts());
  }
  plan_ = *PlanCluster(spec_, setting.layout->buckets(), costs_);
  cluster_ = *SimulatedCluster::Create(spec_, plan_, costs_, /*drift=*/0, data_);
  for (int32_t rank = 0; rank < traits_.workers; ++rank) {
    cluster_->exchange(rank).WatchWaits();
    cluster_->thread(rank).BeginAt(place.first_step);
  }
}

FaultFormation::~FaultFormation() = default;

int32_t FaultFormation::party(int32_t process) const {
  const auto found = std::find(members_.begin(), members_.end(), process);
  RM_CHECK(found != members_.end());
  return costs_.network.first_party + static_cast<int32_t>(found - members_.begin());
}

void FaultFormation::GoOn(const NodeId& node, KeptSimulatedNode* kept) {
  if (node.role == Role::kWorker) {
    KeepingWorker& keeper = *keepers_[node.index];
    if (kept->state) keeper.Take(*kept->state);
    keeper.KeepIn(&kept->steps);
    if (traits_.weights == WeightHolder::kServers) return;
    WorkerLink link;
    link.rank = node.index;
    link.workers = traits_.workers;
    link.spec = &spec_;
    link.layout = setting_.layout;
    link.replica = workers_[node.index]->replica();
    link.kept_marks = &kept->marks;
    marks_[node.index] = std::make_unique<ReplicaMarks>(link);
    return;
  }
  SimulatedServer& server = cluster_->server(node.index);
  if (kept->state) {
    State own = *kept->state;
    ASSERT_TRUE(servers_[node.index]->Take(own.TakePart("down")).ok());
    const absl::Status taken = server.Take(own);
    ASSERT_TRUE(taken.ok()) << taken;
  }
  if (kept->marks.passed.empty()) {
    server.KeepMarks(ShardCore::CopiesOf(server.core().plan().shard), nullptr);
  } else {
    server.TakeCopies(std::move(kept->marks.copies));
  }
  KeptSteps* const steps = &kept->steps;
  server.ObserveMessages([this, index = node.index, steps] { KeepStep(index, steps); });
  KeepStep(node.index, steps);
}

void FaultFormation::Release(const NodeId& node, KeptSimulatedNode* kept) {
  if (node.role == Role::kWorker) return;
  kept->marks = {cluster_->server(node.index).ReleaseCopies(),
                 std::vector<Clock::time_point>(SampleMarks(spec_).size())};
}

void FaultFormation::KeepStep(int32_t index, KeptSteps* steps) {
  const SimulatedServer& server = cluster_->server(index);
  const std::optional<int64_t> step = server.core().shard().step();
  if (!step.has_value() || steps->Has(*step)) return;
  absl::StatusOr<State> state = server.Give();
  ASSERT_TRUE(state.ok()) << state.status();
  const State down = servers_[index]->Give();
  if (!down.entries().empty()) state->AddPart("down", down);
  steps->Keep(*step, *std::move(state));
}

}  // namespace ringmaster
