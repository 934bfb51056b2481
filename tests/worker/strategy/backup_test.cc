// Backup workers with real strategies and servers on threads.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/support/patience.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr int64_t kSteps = 40;
constexpr int64_t kElements = 23;

RunSpec SpecOf(int32_t workers, int32_t backups, int32_t servers) {
  RunSpec spec = GroupSpec(workers, 0.25f);
  ParameterServerSpec* server = spec.mutable_strategy()->mutable_parameter_server();
  server->set_consistency(ParameterServerSpec::BSP);
  server->set_servers(servers);
  server->set_backup_workers(backups);
  return spec;
}

// Steps that worker 0 has begun to compute, and who waits for them.
class Steps {
 public:
  void Begun() {
    absl::MutexLock lock(&mutex_);
    ++begun_;
  }
  bool Await(int64_t steps) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, steps]()
                            ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return begun_ >= steps; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), Patience(20));
  }

 private:
  absl::Mutex mutex_;
  int64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;
};

// How many steps each worker made.
struct Outcome {
  std::vector<std::vector<float>> weights;
  std::vector<int64_t> steps;
};

// The slow rank is in the middle of each of its steps while worker 0 makes ten; -1: nobody is slow.
Outcome RunOf(const RunSpec& spec, int32_t slow_rank, const std::string& transport) {
  GroupOptions options;
  options.transport = transport;
  StrategyGroup group(spec, std::vector<float>(kElements, 1.0f), 7, options);
  Steps steps;
  Outcome outcome;
  outcome.steps.resize(group.workers());
  const absl::Status status = group.Run([&](GroupWorker& worker) {
    const auto source = [&](int32_t rank, int64_t step, const Bucket& bucket,
                            absl::Span<float> out) {
      if (bucket.id == 0) ++outcome.steps[rank];
      if (bucket.id == 0 && rank == 0) steps.Begun();
      if (bucket.id == 1 && rank == slow_rank) {
        const int64_t until_drain = step < kSteps / 2 ? kSteps / 2 : kSteps;
        EXPECT_TRUE(steps.Await(std::min(10 * outcome.steps[rank], until_drain)));
      }
      for (float& value : out) value = static_cast<float>((step + rank) % 3) / 64;
    };
    // Training may go on after a drain.
    for (const int64_t begin : {int64_t{0}, kSteps / 2}) {
      absl::Status stepped = worker.Steps(begin, begin + kSteps / 2, source);
      if (stepped.ok()) stepped = worker.strategy().Drain();
      if (!stepped.ok()) return stepped;
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  for (int32_t rank = 0; rank < group.workers(); ++rank) {
    const auto front = group.worker(rank).front();
    outcome.weights.emplace_back(front.begin(), front.end());
  }
  return outcome;
}

TEST(BackupWorkers, NobodyWaitsForAStragglerWhoEndsWithTheSameWeights) {
  for (const char* transport : {"inproc", "tcp"}) {
    const Outcome outcome = RunOf(SpecOf(3, 1, 2), /*slow_rank=*/1, transport);
    EXPECT_EQ(outcome.steps[0], kSteps);
    EXPECT_EQ(outcome.steps[2], kSteps);
    EXPECT_GE(outcome.steps[1], 2);
    EXPECT_LT(outcome.steps[1], 10);
    for (const auto& weights : outcome.weights) EXPECT_EQ(weights, outcome.weights[0]);
  }
}

TEST(BackupWorkers, NoneAreBsp) {
  RunSpec plain = SpecOf(3, 0, 2);
  plain.mutable_strategy()->mutable_parameter_server()->clear_backup_workers();
  const Outcome outcome = RunOf(SpecOf(3, 0, 2), /*slow_rank=*/-1, "inproc");
  EXPECT_EQ(outcome.weights, RunOf(plain, /*slow_rank=*/-1, "inproc").weights);
  for (const int64_t steps : outcome.steps) EXPECT_EQ(steps, kSteps);
}

}  // namespace
}  // namespace ringmaster
