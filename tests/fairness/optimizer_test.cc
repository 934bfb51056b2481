// Optimizers, schedules, clipping, accumulation and dropout are the same in every synchronous arm,
// to the bit; and runs in which one of them is broken on purpose are found out.

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/vecmath/vecmath.h"
#include "experiments/proof/verify/record_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

void ExpectOk(const absl::StatusOr<std::string>& figure) {
  EXPECT_TRUE(figure.ok()) << figure.status();
}

void ExpectFails(const absl::StatusOr<std::string>& figure, const std::string& naming) {
  EXPECT_EQ(figure.status().code(), absl::StatusCode::kFailedPrecondition) << figure.status();
  EXPECT_THAT(std::string(figure.status().message()), HasSubstr(naming));
}

// `base` changed and resolved again, so that what is derived (defaults, the end of the cosine)
// follows.
RunSpec With(RunSpec base, const std::function<void(RunSpec*)>& change) {
  base.clear_optimizer();
  base.mutable_optimizer()->set_learning_rate(0.05f);
  change(&base);
  const auto resolved = Resolve(base, {});
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

void AdamwCosineWarmupClip(RunSpec* spec) {
  OptimizerSpec* optimizer = spec->mutable_optimizer();
  optimizer->set_name("adamw");
  optimizer->set_learning_rate(0.01f);
  optimizer->set_weight_decay(0.1f);
  optimizer->set_warmup_samples(50);
  optimizer->mutable_cosine_schedule()->set_floor(0.1f);
  optimizer->set_clip_norm(0.2f);
}

void NesterovDecayScaled(RunSpec* spec) {
  OptimizerSpec* optimizer = spec->mutable_optimizer();
  optimizer->set_name("nesterov");
  optimizer->set_weight_decay(0.01f);
  optimizer->set_scale_with_workers(true);
}

void Accumulate(RunSpec* spec) { spec->mutable_training()->set_accumulate(2); }

void Dropout(RunSpec* spec) { spec->mutable_model()->set_dropout(0.25f); }

std::vector<RunRecord> RunArms(const RunSpec& base, const std::vector<std::string>& arms) {
  std::vector<RunRecord> records = {RunInProcess(base)};
  for (const std::string& arm : arms) {
    RunSpec spec = base;
    spec.mutable_strategy()->mutable_parameter_server()->set_servers(2);
    if (base.optimizer().has_clip_norm())
      spec.mutable_strategy()->mutable_parameter_server()->set_servers(1);
    records.push_back(RunInProcess(ArmOf(arm, spec)));
  }
  return records;
}

void ExpectOneTrajectory(const std::vector<RunRecord>& records) {
  ExpectOk(CheckSameWeights(records));
  ExpectOk(CheckSameBatches(records));
  ExpectOk(CheckPayload(records));
}

std::string WeightsOf(const RunRecord& record) {
  return record.reports(0).workers(0).weights_sha256();
}

struct Case {
  const char* name;
  std::function<void(RunSpec*)> change;
  std::vector<std::string> arms;
};

std::vector<Case> Cases() {
  const std::vector<std::string> all = ArmsThat(ExchangesOnOneTrajectory);
  // Who sees or updates a part alone does not know the norm.
  const std::vector<std::string> see_all_of_a_gradient = ArmsThat([](const ArmUnderTest& arm) {
    return ExchangesOnOneTrajectory(arm) && arm.traits.servers <= 1 &&
           arm.traits.updated == nullptr;
  });
  const auto both = [](auto first, auto second) {
    return [=](RunSpec* spec) { first(spec), second(spec); };
  };
  return {
      {"adamw, cosine, warm-up, clipping", AdamwCosineWarmupClip, see_all_of_a_gradient},
      {"nesterov, weight decay, rate times N", NesterovDecayScaled, all},
      {"two batches a step", Accumulate, all},
      {"dropout", Dropout, all},
      {"dropout, two batches, adamw, clipping",
       both(both(AdamwCosineWarmupClip, Accumulate), Dropout),
       {"ps", "ring"}},
  };
}

TEST(TwoWorkers, FollowOneTrajectoryWithEveryOptimizerAndItIsNotAnothersOne) {
  const RunSpec small = SmallSpec(2, false);
  std::vector<std::string> ends = {WeightsOf(RunInProcess(With(small, [](RunSpec*) {})))};
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const std::vector<RunRecord> records = RunArms(With(small, c.change), c.arms);
    ExpectOneTrajectory(records);
    for (const std::string& end : ends)
      EXPECT_NE(WeightsOf(records[0]), end) << "the setting changes nothing";
    ends.push_back(WeightsOf(records[0]));
  }
}

TEST(TwoWorkers, AndOneThatAccumulatesTwoBatchesHaveTheSameScaledRate) {
  const auto end_of = [](int32_t workers, int32_t accumulate) {
    return WeightsOf(RunInProcess(With(SmallSpec(workers, false), [accumulate](RunSpec* spec) {
      NesterovDecayScaled(spec);
      spec->mutable_training()->set_accumulate(accumulate);
    })));
  };
  EXPECT_EQ(end_of(2, 1), end_of(1, 2));
}

TEST(ThreeWorkers, WithExactSumsFollowOneTrajectoryWithEveryOptimizer) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    ExpectOneTrajectory(RunArms(With(SmallSpec(3, true), c.change), c.arms));
  }
}

// Every setting by itself moves the end of a run: none is read and then ignored.
TEST(Settings, EachMovesTheWeightsWhereARunEnds) {
  const RunSpec base = With(SmallSpec(2, false), AdamwCosineWarmupClip);
  const std::string end = WeightsOf(RunInProcess(base));
  const std::pair<const char*, std::function<void(OptimizerSpec*)>> changes[] = {
      {"weight_decay", [](OptimizerSpec* optimizer) { optimizer->set_weight_decay(0.2f); }},
      {"clip_norm", [](OptimizerSpec* optimizer) { optimizer->set_clip_norm(0.19f); }},
      {"warmup_samples", [](OptimizerSpec* optimizer) { optimizer->set_warmup_samples(60); }},
      {"floor",
       [](OptimizerSpec* optimizer) { optimizer->mutable_cosine_schedule()->set_floor(0.2f); }},
      {"beta1", [](OptimizerSpec* optimizer) { optimizer->set_beta1(0.8f); }},
      {"beta2", [](OptimizerSpec* optimizer) { optimizer->set_beta2(0.99f); }},
      {"epsilon", [](OptimizerSpec* optimizer) { optimizer->set_epsilon(1e-3f); }},
      {"scale_with_workers",
       [](OptimizerSpec* optimizer) { optimizer->set_scale_with_workers(true); }},
      {"name", [](OptimizerSpec* optimizer) { optimizer->set_name("adam"); }},
  };
  for (const auto& [name, change] : changes) {
    RunSpec changed = base;
    change(changed.mutable_optimizer());
    EXPECT_NE(WeightsOf(RunInProcess(changed)), end) << name;
  }
}

// Clips what a worker brings and not what all of them bring together: the mistake of clipping
// before the exchange.
class ClipsBeforeTheExchange : public ForwardingStrategy {
 public:
  ClipsBeforeTheExchange(std::unique_ptr<SyncStrategy> real, float norm)
      : ForwardingStrategy(std::move(real)), norm_(norm) {}
  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    const double length = std::sqrt(SumOfSquares(gradient.host()));
    if (length > norm_) Scale(static_cast<float>(norm_ / length), gradient.host());
    return real_->GradReady(step, bucket, gradient);
  }

 private:
  const float norm_;
};

TEST(Twins, ClippingBeforeTheExchangeShowsInTheWeights) {
  const RunSpec base = With(SmallSpec(2, false), AdamwCosineWarmupClip);
  RunSpec unclipped = ArmOf("ring", base);
  unclipped.mutable_optimizer()->clear_clip_norm();
  RunSeams seams;
  seams.create_strategy =
      [](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
    auto real = CreateStrategy(link);
    if (!real.ok()) return real.status();
    return std::make_unique<ClipsBeforeTheExchange>(*std::move(real), 0.2f);
  };
  const RunRecord broken = RunInProcess(unclipped, seams);
  ASSERT_EQ(broken.status(), "ok");
  ExpectFails(CheckSameWeights({RunInProcess(base), broken}), "ended with weights");
}

// What one rank believes differently shows, by name of the check that finds it.
TEST(Twins, ARankWithSettingsOfItsOwnIsFoundOut) {
  const RunSpec base = With(SmallSpec(2, false), [](RunSpec* spec) {
    AdamwCosineWarmupClip(spec);
    Accumulate(spec);
    Dropout(spec);
  });
  const RunRecord single = RunInProcess(base);
  const RunSpec ring = ArmOf("ring", base);
  const std::pair<const char*, std::function<void(RunSpec*)>> mistakes[] = {
      {"clip_norm", [](RunSpec* spec) { spec->mutable_optimizer()->set_clip_norm(0.19f); }},
      {"weight_decay", [](RunSpec* spec) { spec->mutable_optimizer()->set_weight_decay(0); }},
      {"warmup_samples", [](RunSpec* spec) { spec->mutable_optimizer()->set_warmup_samples(0); }},
      {"seed of the dropout", [](RunSpec* spec) { spec->mutable_training()->set_seed(2); }},
  };
  for (const auto& [name, mistake] : mistakes) {
    RunSeams seams;
    seams.edit = [mistake = mistake](int32_t rank, RunSpec* spec) {
      if (rank == 1) mistake(spec);
    };
    const RunRecord broken = RunInProcess(ring, seams);
    ASSERT_EQ(broken.status(), "ok") << name;
    ExpectFails(CheckSameWeights({single, broken}), "ended with weights");
    ExpectOk(CheckSameBatches({single, broken}));
  }
  // The same samples in one batch, where the others take two.
  RunSeams one_batch;
  one_batch.edit = [](int32_t rank, RunSpec* spec) {
    if (rank != 1) return;
    spec->mutable_training()->set_accumulate(1);
    spec->mutable_training()->set_batch_per_worker(16);
  };
  const RunRecord broken = RunInProcess(ring, one_batch);
  ExpectFails(CheckSameBatches({single, broken}), "rank 1 saw batches");
  ExpectFails(CheckSameWeights({single, broken}), "ended with weights");
}

}  // namespace
}  // namespace ringmaster
