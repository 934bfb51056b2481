#include "experiments/study/predict/compute_profile.h"

#include <cmath>
#include <string>
#include <vector>

#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/compute_times.pb.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

RunSpec SmallSpec() {
  RunSpec base;
  base.mutable_model()->set_name("mlp");
  base.mutable_model()->add_mlp_hidden(64);
  base.mutable_data()->set_name("synthetic");
  base.mutable_data()->mutable_synthetic()->set_train_samples(512);
  base.mutable_training()->set_workers(2);
  base.mutable_training()->set_steps(1000);
  base.mutable_training()->set_bucket_bytes(64 << 10);
  base.mutable_training()->set_kernels("reference");
  base.mutable_output()->set_save_weights("never-written");
  return *Resolve(*MakeArm("ring", base), {});
}

TEST(ProfileCompute, BucketsAreReadyInOrderAndTheShareOfALayerIsSeen) {
  const auto profile = ProfileCompute(SmallSpec(), 0, nullptr);
  ASSERT_TRUE(profile.ok()) << profile.status();
  const std::vector<double>& ready = profile->costs.bucket_ready;
  ASSERT_EQ(ready.size(), profile->buckets.size());
  ASSERT_EQ(ready.size(), 4u);  // (784 + 1) * 64 + (64 + 1) * 10 floats
  EXPECT_GT(ready.front(), 0);
  for (size_t i = 1; i < ready.size(); ++i) EXPECT_GE(ready[i], ready[i - 1]);
  EXPECT_LE(ready.back(), 1);
  // Forward comes first, and the first layer's weights are the last gradient of all.
  EXPECT_GT(ready.back(), 0.5);
  const ComputeCosts& costs = profile->costs;
  EXPECT_GT(costs.compute, 0);
  EXPECT_GT(costs.update, 0);
  EXPECT_NEAR(costs.load + costs.compute + costs.update, profile->step, 1e-9);
}

TEST(ProfileCompute, EndsWhenItIsInterrupted) {
  const std::atomic<bool> interrupted = true;
  EXPECT_EQ(ProfileCompute(SmallSpec(), 0, &interrupted).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(SoloOf, LeavesNothingOfTheExchangeAndOfTheOutputs) {
  const RunSpec solo = SoloOf(SmallSpec(), 2, 20, 5);
  EXPECT_TRUE(solo.strategy().has_solo());
  EXPECT_EQ(solo.codec().name(), "none");
  EXPECT_EQ(solo.output().save_weights(), "");
  EXPECT_EQ(solo.output().trace_steps(), 0);
  EXPECT_EQ(solo.training().steps(), 20);
  EXPECT_EQ(solo.training().warmup_steps(), 5);
  EXPECT_EQ(solo.training().workers(), 2);
}

TEST(CostsOfSolo, AMedianStepIsSharedOutAsThePhasesAre) {
  RunRecord record;
  *record.mutable_spec() = SoloOf(SmallSpec(), 2, 4, 1);
  record.set_status("ok");
  for (int rank = 0; rank < 2; ++rank) {
    WorkerReport* worker = record.add_reports()->add_workers();
    worker->set_rank(rank);
    for (const float ms : {99.0f, 10.0f, 10.0f, 40.0f}) worker->add_step_ms(ms);
    worker->set_timed_steps(3);
    worker->set_timed_seconds(0.060);  // 20 ms a step
    (*worker->mutable_phase_ms())["load"] = 2;
    (*worker->mutable_phase_ms())["update"] = 4;
  }
  ComputeProfile shape;
  shape.costs.bucket_ready = {0.5, 1};
  const ComputeCosts costs = CostsOfSolo(record, shape);
  EXPECT_NEAR(costs.load, 0.001, 1e-9);
  EXPECT_NEAR(costs.update, 0.002, 1e-9);
  EXPECT_NEAR(costs.compute, 0.007, 1e-9);
  EXPECT_EQ(costs.bucket_ready, shape.costs.bucket_ready);
}

// Two buckets of a gradient of 100 elements.
ComputeTimes SomeTimes(const RunSpec& spec) {
  ComputeProfile profile;
  profile.buckets = {{0, 0, 40}, {1, 40, 60}};
  profile.costs = {0.001, 0.010, 0.002, {0.5, 0.9}};
  return TimesOf(profile, spec);
}

TEST(ComputeTimes, AreTheCostsThatWereMeasuredWhateverTheBuckets) {
  const RunSpec spec = SmallSpec();
  const ComputeTimes times = SomeTimes(spec);
  EXPECT_TRUE(CheckTimes(times, spec).ok());
  const std::vector<Bucket> measured = {{0, 0, 40}, {1, 40, 60}};
  const ComputeCosts same = CostsOfTimes(times, measured);
  EXPECT_EQ(same.load, 0.001);
  EXPECT_EQ(same.compute, 0.010);
  EXPECT_EQ(same.update, 0.002);
  EXPECT_EQ(same.bucket_ready, (std::vector<double>{0.5, 0.9}));
  const std::vector<Bucket> others = {{0, 0, 10}, {1, 10, 30}, {2, 40, 1}, {3, 41, 59}};
  EXPECT_EQ(CostsOfTimes(times, others).bucket_ready, (std::vector<double>{0.5, 0.5, 0.9, 0.9}));
}

TEST(ComputeTimes, OfAnotherRunOrOfNoneAreRefused) {
  const RunSpec spec = SmallSpec();
  const ComputeTimes times = SomeTimes(spec);
  const auto of_run = [&](const auto& change) {
    RunSpec other = spec;
    change(&other);
    return std::string(CheckTimes(times, other).message());
  };
  EXPECT_THAT(of_run([](RunSpec* run) { run->mutable_model()->add_mlp_hidden(8); }),
              HasSubstr("the times are of model name: \"mlp\""));
  EXPECT_THAT(of_run([](RunSpec* run) { run->mutable_data()->set_name("mnist"); }),
              HasSubstr("of data synthetic, and the run is of mnist"));
  EXPECT_THAT(of_run([](RunSpec* run) { run->mutable_training()->set_batch_per_worker(3); }),
              HasSubstr("of batches of 32, and the run is of 3"));
  EXPECT_THAT(of_run([](RunSpec* run) { run->mutable_training()->set_accumulate(2); }),
              HasSubstr("of accumulate 1, and the run is of 2"));
  const auto with = [&](const auto& change) {
    ComputeTimes wrong = times;
    change(&wrong);
    return std::string(CheckTimes(wrong, spec).message());
  };
  EXPECT_THAT(with([](ComputeTimes* wrong) { wrong->set_compute_seconds(-1); }),
              HasSubstr("a time of -1 s"));
  EXPECT_THAT(with([](ComputeTimes* wrong) { wrong->set_load_seconds(NAN); }),
              HasSubstr("a time of nan s"));
  EXPECT_THAT(with([](ComputeTimes* wrong) { wrong->mutable_handovers(1)->set_elements(40); }),
              HasSubstr("expected ever more elements"));
  EXPECT_THAT(with([](ComputeTimes* wrong) { wrong->mutable_handovers(1)->set_share(0.4); }),
              HasSubstr("shares that ascend"));
  EXPECT_THAT(with([](ComputeTimes* wrong) { wrong->clear_handovers(); }),
              HasSubstr("no handovers"));
}

}  // namespace
}  // namespace ringmaster
