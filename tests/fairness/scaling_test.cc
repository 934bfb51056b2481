// Gradients are divided by N in one place, for all schemes alike.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

// The first step's gradients by rank, as the strategies were given them.
struct Heard {
  absl::Mutex mutex;
  std::map<int32_t, std::vector<float>> by_rank ABSL_GUARDED_BY(mutex);
};

class Listener : public ForwardingStrategy {
 public:
  Listener(std::unique_ptr<SyncStrategy> real, int32_t rank, Heard* heard)
      : ForwardingStrategy(std::move(real)), rank_(rank), heard_(heard) {}
  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    if (step == 0) {
      absl::MutexLock lock(&heard_->mutex);
      std::vector<float>& all = heard_->by_rank[rank_];
      all.insert(all.end(), gradient.host().begin(), gradient.host().end());
    }
    return real_->GradReady(step, bucket, gradient);
  }

 private:
  const int32_t rank_;
  Heard* const heard_;
};

std::map<int32_t, std::vector<float>> FirstGradients(const RunSpec& spec) {
  Heard heard;
  RunSeams seams;
  seams.create_strategy =
      [&heard](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
    auto real = CreateStrategy(link);
    if (!real.ok()) return real.status();
    return std::make_unique<Listener>(*std::move(real), link.rank, &heard);
  };
  EXPECT_EQ(RunInProcess(spec, seams).status(), "ok") << spec.name();
  absl::MutexLock lock(&heard.mutex);
  return heard.by_rank;
}

TEST(Scaling, EverySchemeIsGivenTheSameGradientsDividedByNAndSoloUndividedOnes) {
  // A power of two, so that dividing the loss's gradient and dividing the gradients give the same
  // bits.
  constexpr int32_t kWorkers = 4;
  const RunSpec base = SmallSpec(kWorkers, false);
  const auto own = FirstGradients(ArmOf("solo", base));
  auto expected = own;
  ASSERT_EQ(expected.size(), static_cast<size_t>(kWorkers));
  double magnitude = 0;
  for (auto& [rank, gradient] : expected) {
    for (float& value : gradient) {
      magnitude += value < 0 ? -value : value;
      value *= 1.0f / kWorkers;
    }
  }
  EXPECT_GT(magnitude, 0.1);
  for (const std::string& arm : ArmsThat(Exchanges)) {
    const bool shares = DescribeArm(arm).traits.divisor == Divisor::kAllBatches;
    EXPECT_EQ(FirstGradients(ArmOf(arm, base)), shares ? expected : own) << arm;
  }
  // single adds them up before anybody sees them.
  std::vector<float> sum = expected[0];
  for (int32_t rank = 1; rank < kWorkers; ++rank) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += expected[rank][i];
  }
  EXPECT_EQ(FirstGradients(base)[0], sum);
}

}  // namespace
}  // namespace ringmaster
