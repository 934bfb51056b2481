// A whole run under one seed, in one thread: workers with weights, gradients and codecs, servers,
// the coordinator and the network between them, all by the cores that decide in real processes.
#include "experiments/study/predict/simulated_cluster.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/control/dealing.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/placement.h"
#include "experiments/study/simulate/learning_nodes.h"
#include "gtest/gtest.h"
#include "tests/common/control/core_run.h"
#include "tests/experiments/study/predict/seeded_setting.h"
#include "tests/experiments/study/predict/test_gradients.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr uint64_t kSeeds = 1000;
constexpr double kSecondsMax = 60;  // of a run's own time; who waits for longer waits for ever

// Noise of rank and step, and a pull to 0 that makes wrong weights felt in all later steps.
GradientOfWeights GradientFor(int32_t workers) {
  return [workers](int32_t rank, int64_t step, absl::Span<const float> weights,
                   const Bucket& bucket, absl::Span<float> out) {
    Random random(MixSeed(MixSeed(rank, step), bucket.id));
    for (int64_t i = 0; i < bucket.count; ++i) {
      out[i] = (random.Normal() + weights[bucket.begin + i]) / static_cast<float>(workers);
    }
  };
}

// The weights of every rank after the real strategies and servers have run on threads.
std::vector<std::vector<float>> RunOnThreads(const Setting& setting) {
  StrategyGroup group(SpecOf(setting), SeededWeights(), kSeededBucketElements);
  const GradientOfWeights gradient = GradientFor(setting.workers);
  const absl::Status status = group.Run([&](GroupWorker& worker) {
    const auto source = [&](int32_t rank, int64_t step, const Bucket& bucket,
                            absl::Span<float> out) {
      gradient(rank, step, worker.front(), bucket, out);
    };
    const absl::Status stepped = worker.Steps(0, kSeededSteps, source);
    return stepped.ok() ? worker.strategy().Drain() : stepped;
  });
  EXPECT_TRUE(status.ok()) << setting.name() << ": " << status;
  std::vector<std::vector<float>> weights;
  for (int32_t rank = 0; rank < group.workers(); ++rank) {
    weights.emplace_back(group.worker(rank).front().begin(), group.worker(rank).front().end());
  }
  return weights;
}

// One run.
class SeededRun {
 public:
  SeededRun(const Setting& setting, uint64_t seed)
      : setting_(setting),
        spec_(SpecOf(setting)),
        traits_(TraitsOf(spec_)),
        random_(seed),
        processes_(PlaceNodes(spec_)),
        gradients_(layout_, GradientFor(setting.workers),
                   [this](int32_t rank, int64_t step) { Observe(rank, step); }),
        run_{&spec_,
             &layout_,
             &gradients_,
             /*equal=*/nullptr,
             /*watches_memory=*/true,
             [](const absl::Status& why) { ADD_FAILURE() << why; }},
        control_(RulesOf(static_cast<int32_t>(processes_.size()))),
        states_(processes_.size()) {
    costs_ = DrawCosts(spec_, layout_, static_cast<int32_t>(processes_.size()), &random_);
    for (int32_t rank = 0; rank < setting.workers; ++rank) {
      workers_.push_back(*LearningWorker::Create(run_, SeededWeights(), rank));
      data_.steps.push_back(workers_.back().get());
      data_.ranks.push_back(workers_.back().get());
      data_.workers.push_back(workers_.back().get());
    }
    for (int32_t index = 0; index < traits_.servers; ++index) {
      servers_.push_back(*LearningServer::Create(run_, SeededWeights(), index));
      data_.servers.push_back(servers_.back().get());
      data_.parts.push_back(servers_.back()->parts());
    }
    plan_ = *PlanCluster(spec_, layout_.buckets(), costs_);
    cluster_ = *SimulatedCluster::Create(spec_, plan_, costs_, /*drift=*/0, data_);
  }

  // Also where one in four runs fails, since a process says so or is gone.
  void Run() {
    const bool fails = random_.Below(4) == 0;
    for (size_t process = 0; process < processes_.size(); ++process) {
      Later([this, process] { Join(static_cast<int32_t>(process)); });
      Later([this, process] { Beat(static_cast<int32_t>(process)); });
    }
    Tick();
    if (fails)
      cluster_->queue().After(random_.Uniform() * 40 * kMillisecond, [this] { FailOne(); });
    const absl::Status status =
        cluster_->Run([this] { return cluster_->queue().now() > kSecondsMax; });
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(control_.core().is_over()) << "the run stands still";
    for (size_t process = 0; process < processes_.size(); ++process) {
      const auto index = static_cast<int32_t>(process);
      const bool was_there = is_joined(index) && !states_[process].is_gone;
      EXPECT_EQ(control_.Ends(index), was_there ? 1 : 0) << "process " << process;
    }
    failed_ = !control_.failure().ok();
    if (failed_) {
      ASSERT_TRUE(has_failed_) << control_.failure();
      return;
    }
    size_t all_steps = 0;
    for (int32_t rank = 0; rank < setting_.workers; ++rank) {
      const size_t steps = cluster_->thread(rank).steps().size();
      all_steps += steps;
      if (traits_.backup_workers > 0) {
        EXPECT_LE(steps, static_cast<size_t>(kSeededSteps));
      } else if (traits_.work == Work::kDealt) {
        EXPECT_EQ(steps, static_cast<size_t>(kSeededSteps));
      }
    }
    if (traits_.backup_workers == 0) {
      EXPECT_EQ(all_steps, static_cast<size_t>(kSeededSteps * setting_.workers));
    }
    for (int32_t index = 0; index < traits_.servers; ++index) {
      const ServerCore& core = cluster_->server(index).core();
      EXPECT_TRUE(core.finished()) << "server/" << index;
      const int64_t updates =
          kSeededSteps * (traits_.updates == Updates::kTogether ? 1 : setting_.workers);
      for (int32_t part = 0; part < static_cast<int32_t>(layout_.buckets().size()); ++part)
        EXPECT_EQ(core.shard().progress(part), updates) << "server/" << index;
    }
  }

  bool failed() const { return failed_; }
  absl::Span<const float> weights(int32_t rank) const { return workers_[rank]->weights(); }
  absl::Span<const float> center(int32_t rank) const { return workers_[rank]->center(); }
  int64_t time() { return cluster_->queue().time(); }
  int64_t messages() { return cluster_->network().messages(); }

 private:
  struct ProcessState {
    size_t heard = 0;  // messages of the coordinator that it knows of, or that are on their way
    Nanoseconds hears = 0;  // when the last of these is there
    int32_t running = 0;    // workers that have not finished their steps
    bool is_gone = false;   // it has died
    bool has_finished = false;
  };

  double Draw(double max) { return random_.Uniform() * max; }
  // Soon, with a delay of its own, as all that goes to the coordinator and comes from it.
  void Later(EventQueue::Action action) {
    cluster_->queue().After(Draw(2 * kMillisecond), std::move(action));
  }

  // The weights that a step reads hold the updates that they must hold, and none of the future.
  void Observe(int32_t rank, int64_t step) {
    for (const float weight : workers_[rank]->weights())
      ASSERT_FALSE(std::isnan(weight)) << "half of the weights";
    for (int32_t server = 0; server < traits_.servers; ++server) {
      const auto& core = static_cast<const SimulatedPsWorker&>(cluster_->exchange(rank)).core();
      for (int32_t bucket = 0; bucket < core.plan().buckets; ++bucket) {
        const int64_t version = core.front_versions()[server * core.plan().buckets + bucket];
        if (traits_.backup_workers > 0) {
          ASSERT_GE(version, step) << "worker/" << rank << " step=" << step;
        } else if (traits_.updates == Updates::kTogether) {
          ASSERT_EQ(version, step) << "worker/" << rank << " step=" << step;
        } else if (traits_.staleness_bound.has_value()) {
          // Its own, and those of the others' steps before step - bound.
          const int64_t others = std::max<int64_t>(0, step - *traits_.staleness_bound);
          ASSERT_GE(version, step + (setting_.workers - 1) * others)
              << "worker/" << rank << " step=" << step;
        }
      }
    }
  }

  // The coordinator's clock goes with the simulation's; then what it has sent goes its way.
  void Tell(const std::function<void()>& event) {
    const absl::Duration now = absl::Nanoseconds(cluster_->queue().time());
    control_.Pass(now - control_time_);
    control_time_ = now;
    event();
    for (int32_t process = 0; process < static_cast<int32_t>(processes_.size()); ++process) {
      ProcessState& state = states_[process];
      for (; state.heard < control_.heard(process).size(); ++state.heard) {
        const ToProcess message = control_.heard(process)[state.heard];
        // In order, as on a stream.
        state.hears = std::max(state.hears, cluster_->queue().time()) + random_.Below(2'000'000);
        cluster_->queue().At(state.hears, [this, process, message] { Hear(process, message); });
      }
    }
  }

  // The coordinator looks at its clock.
  void Tick() {
    Tell([] {});
    if (!control_.core().is_over()) cluster_->queue().After(20 * kMillisecond, [this] { Tick(); });
  }

  void Join(int32_t process) {
    ringmaster::Join join = JoinOf(process, static_cast<int32_t>(processes_.size()));
    join.clear_nodes();
    for (const NodeId& node : processes_[process]) {
      NodeName* name = join.add_nodes();
      name->set_server(node.role == Role::kServer);
      name->set_index(node.index);
      states_[process].running += node.role == Role::kWorker ? 1 : 0;
    }
    if (states_[process].running == 0) join.clear_kernel_target();
    // Who comes when the run has failed already is told so.
    Tell([&] { EXPECT_TRUE(control_.Join(join).ok() || has_failed_); });
  }

  void Beat(int32_t process) {
    ProcessState& state = states_[process];
    if (state.is_gone || control_.core().is_over()) return;
    if (!state.has_finished && IsDone(process)) Finish(process);
    if (is_joined(process)) Tell([&] { control_.Beat(process); });
    cluster_->queue().After(20 * kMillisecond, [this, process] { Beat(process); });
  }

  bool is_joined(int32_t process) { return !control_.heard(process).empty(); }

  // All workers of the process have taken leave, and its servers know of no worker who has not.
  bool IsDone(int32_t process) {
    if (!has_ended_) return false;
    for (const NodeId& node : processes_[process]) {
      if (node.role == Role::kServer && !cluster_->server(node.index).core().finished())
        return false;
    }
    return states_[process].running == 0;
  }

  void Finish(int32_t process) {
    states_[process].has_finished = true;
    Tell([&] { control_.Finish(process); });
  }

  void Hear(int32_t process, const ToProcess& message) {
    ProcessState& state = states_[process];
    if (state.is_gone) return;
    if (message.has_welcome() && state.running > 0)
      Later([this, process] { Arrive(process, "start"); });
    if (!message.has_release()) return;
    for (const NodeId& node : processes_[process]) {
      if (node.role != Role::kWorker) continue;
      if (message.release().barrier() == "end") {
        has_ended_ = true;
        cluster_->exchange(node.index).TakeLeave();
        continue;
      }
      const auto drain = [this, process, rank = node.index] {
        cluster_->thread(rank).Drain([this, process] {
          if (--states_[process].running == 0) Later([this, process] { Arrive(process, "end"); });
        });
      };
      if (traits_.work == Work::kClaimed) {
        cluster_->thread(node.index).RunClaimed(&dealer_, drain);
      } else {
        cluster_->thread(node.index).Run(kSeededSteps, drain);
      }
    }
  }

  void Arrive(int32_t process, const std::string& barrier) {
    if (!states_[process].is_gone) Tell([&] { control_.Arrive(process, barrier); });
  }

  void FailOne() {
    const auto process = static_cast<int32_t>(random_.Below(processes_.size()));
    if (!is_joined(process) || states_[process].has_finished || control_.core().is_over()) return;
    has_failed_ = true;
    if (random_.Below(2) == 0) {
      Tell([&] { control_.Fail(process, absl::InternalError("the disk is full")); });
      return;
    }
    states_[process].is_gone = true;
    Tell([&] { control_.Leave(process); });
  }

  const Setting setting_;
  const RunSpec spec_;
  const SchemeTraits traits_;
  ClaimDealer dealer_{{0, int64_t{kSeededSteps} * setting_.workers, setting_.workers}};
  const ParamLayout layout_ = GroupLayout(spec_, kSeededElements, kSeededBucketElements);
  Random random_;
  const std::vector<std::vector<NodeId>> processes_;
  TestGradients gradients_;
  const LearningRun run_;
  Costs costs_;
  CoreRun control_;
  absl::Duration control_time_;
  std::vector<ProcessState> states_;
  bool has_failed_ = false;  // somebody has
  bool has_ended_ = false;   // all steps of all are done
  bool failed_ = false;
  std::vector<std::unique_ptr<LearningWorker>> workers_;
  std::vector<std::unique_ptr<LearningServer>> servers_;
  ClusterData data_;
  ClusterPlan plan_;
  std::unique_ptr<SimulatedCluster> cluster_;
};

// On threads the order of messages differs from run to run; here it does by the seed.
TEST(Cluster, SynchronousArmsHaveTheBitsOfRealOnesUnderEverySeed) {
  const std::vector<Setting> settings = SeededSettings();
  std::map<std::string, std::vector<std::vector<float>>> known;
  int64_t failed = 0;
  int64_t compared = 0;
  for (uint64_t seed = 0; seed < kSeeds && !testing::Test::HasFailure(); ++seed) {
    const Setting& setting = settings[seed % settings.size()];
    SCOPED_TRACE(testing::Message() << "seed " << seed << ": " << setting.name());
    SeededRun run(setting, seed);
    run.Run();
    failed += run.failed() ? 1 : 0;
    if (run.failed()) continue;
    const SchemeTraits traits = TraitsOf(SpecOf(setting));
    const bool ends_equal = traits.replicas == Replicas::kEqualAfterStep ||
                            traits.replicas == Replicas::kEqualAfterDrain;
    for (int32_t rank = 1; rank < setting.workers && ends_equal; ++rank)
      ASSERT_EQ(run.weights(rank), run.weights(0)) << "worker/" << rank;
    for (int32_t rank = 1; rank < setting.workers && traits.attraction > 0; ++rank)
      ASSERT_EQ(run.center(rank), run.center(0)) << "worker/" << rank;
    if (traits.updates != Updates::kTogether || traits.backup_workers > 0) continue;
    std::vector<std::vector<float>>& expected = known[setting.name()];
    if (expected.empty()) expected = RunOnThreads(setting);
    for (int32_t rank = 0; rank < setting.workers; ++rank) {
      ASSERT_EQ(run.weights(rank), absl::MakeConstSpan(expected[rank])) << "worker/" << rank;
      ++compared;
    }
  }
  EXPECT_GT(failed, kSeeds / 20);
  EXPECT_GT(compared, kSeeds);
}

// Under a seed the order of arrivals is the same.
TEST(Cluster, DelaysThatAreCompensatedByNothingLeaveTheBitsOfAsynchronousUpdates) {
  int64_t compared = 0, corrected = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SeededRun plain({"async", 4, 2}, seed), none({"dc-async", 4, 2, true}, seed),
        some({"dc-async", 4, 2}, seed);
    for (SeededRun* run : {&plain, &none, &some}) run->Run();
    ASSERT_EQ(plain.time(), none.time());
    if (plain.failed()) continue;
    for (int32_t rank = 0; rank < 4; ++rank) ASSERT_EQ(plain.weights(rank), none.weights(rank));
    ++compared;
    corrected += plain.weights(0) != some.weights(0) ? 1 : 0;
  }
  EXPECT_GT(compared, 15);
  EXPECT_EQ(corrected, compared);
}

TEST(Cluster, ASeedGivesTheSameRunAgain) {
  for (const Setting& setting : {Setting{"async-topk", 4, 2}, Setting{"ring", 5, 0}}) {
    SeededRun first(setting, 7), second(setting, 7), other(setting, 8);
    first.Run();
    second.Run();
    other.Run();
    EXPECT_EQ(first.time(), second.time());
    EXPECT_EQ(first.messages(), second.messages());
    EXPECT_NE(first.time(), other.time());
    EXPECT_EQ(first.weights(0), second.weights(0));
  }
}

}  // namespace
}  // namespace ringmaster
