// A strategy written outside the worker package, through its interface alone, trains a model like
// any other.

#include <vector>

#include "experiments/proof/verify/record_checks.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/example_strategy/example_strategy.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

RunSeams WithExample() {
  RunSeams seams;
  seams.create_strategy = [](const WorkerLink& link) { return CreateExampleStrategy(link, {}); };
  return seams;
}

TEST(ExampleStrategy, EndsWithTheBitsOfSingleWithoutACodec) {
  for (const int32_t workers : {2, 3, 5}) {
    const RunSpec base = SmallSpec(workers, false);
    RunSpec spec = ArmOf("ring", base);
    spec.set_name("example");
    const std::vector<RunRecord> records = {RunInProcess(base), RunInProcess(spec, WithExample())};
    const auto weights = CheckSameWeights(records);
    EXPECT_TRUE(weights.ok()) << weights.status();
    const auto batches = CheckSameBatches(records);
    EXPECT_TRUE(batches.ok()) << batches.status();
  }
}

TEST(ExampleStrategy, LearnsWithEveryCodecAndLeavesTheRanksEqual) {
  for (const std::string& codec : LossyCodecs()) {
    RunSpec spec = ArmOf("ring", SmallSpec(3, false));
    spec.set_name(codec);
    ChooseCodec(codec, spec.mutable_codec());
    if (spec.codec().has_density()) spec.mutable_codec()->set_density(0.25);
    spec.mutable_optimizer()->set_learning_rate(0.1f);
    const RunRecord record = RunInProcess(spec, WithExample());
    ASSERT_EQ(record.status(), "ok") << codec;
    const auto weights = CheckSameWeights({record});
    EXPECT_TRUE(weights.ok()) << weights.status();
    // The example remembers nothing, so what is below a threshold is lost.
    if (spec.codec().has_threshold()) continue;
    const WorkerReport& worker = record.reports(0).workers(0);
    EXPECT_LT(worker.final_loss(), 0.8 * worker.step_loss(0)) << codec;
  }
}

}  // namespace
}  // namespace ringmaster
