#include <set>
#include <string>
#include <vector>

#include "common/config/comparable.h"
#include "common/config/describe.h"
#include "common/config/resolve.h"
#include "experiments/study/tune/run_tuning.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

RunSpec Base() {
  RunSpec base;
  base.mutable_model()->set_name("mlp");
  base.mutable_data()->set_name("synthetic");
  base.mutable_training()->set_epochs(3);
  base.mutable_training()->set_seed(7);
  base.mutable_output()->set_save_weights("{arm}.safetensors");
  return base;
}

absl::StatusOr<TuningPlan> PlanOf(const std::vector<std::string>& arms,
                                  const std::vector<std::string>& grids, int64_t budget = 1000,
                                  const RunSpec& base = Base(),
                                  const std::vector<std::string>& sets = {}) {
  ResolveContext context;
  context.train_samples = 10000;
  return PlanTuning(
      base, arms, sets, {grids, budget},
      [&](const RunSpec& spec) { return Resolve(spec, context); },
      [](const RunSpec&) { return RunInputs(); });
}

TEST(PlanTuning, EveryArmGetsTheSameGridSamplesAndSeeds) {
  const auto plan = PlanOf({"ps", "ring-topk"}, {"learning_rate=0.1,0.2,0.4"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->runs.cells.size(), 6u);
  ASSERT_EQ(plan->runs.order.size(), 6u);
  EXPECT_THAT(plan->runs.seeds, ElementsAre(7));
  for (const ArmTuning& arm : plan->arms) {
    std::vector<float> rates;
    for (const size_t cell : arm.cells) {
      const RunSpec& spec = plan->runs.cells[cell].spec;
      rates.push_back(spec.optimizer().learning_rate());
      // 1000 samples in steps of 64.
      EXPECT_EQ(spec.training().steps(), 16);
      EXPECT_LT(spec.training().warmup_steps(), 16);
      EXPECT_EQ(spec.training().evaluate_every_samples(), 0);
      EXPECT_EQ(spec.training().seed(), 7u);
      EXPECT_TRUE(spec.output().save_weights().empty()) << "a trial leaves nothing behind";
    }
    EXPECT_THAT(rates, ElementsAre(0.1f, 0.2f, 0.4f)) << SettingsText(arm.settings);
  }
}

TEST(PlanTuning, AnArmIsTriedOnlyAtFieldsThatItHas) {
  const auto stale = PlanOf({"ring", "ssp"}, {"staleness_bound=0,2"});
  ASSERT_TRUE(stale.ok()) << stale.status();
  EXPECT_TRUE(stale->arms[0].fields.empty());
  ASSERT_EQ(stale->arms[1].fields.size(), 1u);
  EXPECT_EQ(stale->arms[1].fields[0].field, "strategy.parameter_server.staleness_bound");
  EXPECT_EQ(stale->runs.cells.size(), 2u);
  const auto sparse =
      PlanOf({"ring", "ring-topk"}, {"codec.density=0.01,0.1", "learning_rate=0.1,0.2,0.4"});
  ASSERT_TRUE(sparse.ok()) << sparse.status();
  EXPECT_EQ(sparse->arms[0].cells.size(), 3u);
  EXPECT_EQ(sparse->arms[1].cells.size(), 6u);
}

TEST(PlanTuning, SoloKeepsItsRateForNothingItLearnsCounts) {
  const auto plan = PlanOf({"solo", "ring"}, {"learning_rate=0.1,0.2"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->arms[0].cells.empty());
  EXPECT_EQ(plan->arms[1].cells.size(), 2u);
  EXPECT_EQ(plan->runs.cells.size(), 2u);
}

TEST(PlanTuning, FieldsCombine) {
  const auto plan = PlanOf({"ring"}, {"learning_rate=0.1,0.2", "momentum=0.5,0.9"}, 1000, [] {
    RunSpec base = Base();
    base.mutable_optimizer()->set_name("momentum");
    return base;
  }());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->runs.cells.size(), 4u);
  EXPECT_EQ(plan->base.tuning().fields_size(), 2);
  EXPECT_EQ(plan->base.tuning().budget_samples(), 1000);
}

absl::StatusOr<TuningPlan> PlanOfSweep(const std::string& text) {
  SweepSpec sweep;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &sweep)) << text;
  *sweep.mutable_base() = Base();
  const absl::StatusOr<SweepCells> cells = ExpandCells(sweep);
  EXPECT_TRUE(cells.ok()) << cells.status();
  if (!cells.ok()) return cells.status();
  return PlanTuning(
      sweep, *cells, [](const RunSpec& spec) { return Resolve(spec, ResolveContext{}); },
      [](const RunSpec&) { return RunInputs(); });
}

constexpr char kAxes[] = R"pb(
  axes { field: "arm" values: "ring" values: "local-sgd" values: "solo" }
  axes {
    field: "strategy.local_sgd.local_steps"
    values: "4"
    values: "16"
    when { field: "arm" value: "local-sgd" }
  })pb";

TEST(PlanTuning, ASweepTriesEachOfItsCellsOnTheBasesSeed) {
  const auto plan = PlanOfSweep(std::string(kAxes) + R"pb(
    seeds: [ 8, 9 ]
    tuning {
      fields { field: "optimizer.learning_rate" values: "0.1" values: "0.2" values: "0.4" }
      budget_samples: 1000
    })pb");
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->arms.size(), 4u);
  EXPECT_EQ(plan->runs.cells.size(), 9u) << "solo learns nothing that counts";
  EXPECT_THAT(plan->runs.seeds, ElementsAre(7));
  EXPECT_EQ(SettingsText(plan->arms[2].settings),
            "arm=local-sgd strategy.local_sgd.local_steps=16");
  const PlannedCell& cell = plan->runs.cells.at(plan->arms[2].cells.at(1));
  EXPECT_EQ(cell.spec.strategy().local_sgd().local_steps(), 16);
  EXPECT_FLOAT_EQ(cell.spec.optimizer().learning_rate(), 0.2f);
  EXPECT_EQ(cell.spec.training().steps(), 16);
}

TEST(PlanTuning, RefusesASweepsTuningThatIsNone) {
  const auto error = [](const std::string& tuning) {
    return std::string(PlanOfSweep(kAxes + tuning).status().message());
  };
  EXPECT_THAT(error("tuning { budget_samples: 1000 }"), HasSubstr("tuning: it has no fields"));
  EXPECT_THAT(error(R"pb(tuning {
                           fields { field: "optimizer.learning_rate" values: "0.1" }
                           budget_samples: 1000
                         })pb"),
              HasSubstr("tuning of optimizer.learning_rate: a grid of 1 values"));
  EXPECT_THAT(error(R"pb(tuning {
                           fields { field: "optimizer.learning_rate" values: "0.1" values: "0.2" }
                         })pb"),
              HasSubstr("a budget of 0 samples"));
  EXPECT_THAT(
      error(R"pb(tuning {
                   fields { field: "strategy.local_sgd.local_steps" values: "2" values: "4" }
                   budget_samples: 1000
                 })pb"),
      HasSubstr("is set by an axis too"));
  EXPECT_THAT(error(R"pb(tuning {
                           fields { field: "training.workers" values: "2" values: "4" }
                           budget_samples: 1000
                         })pb"),
              HasSubstr("would not learn the same thing"));
}

TEST(PlanTuning, RefusesWhatCannotBeTuned) {
  RunSpec emulated = Base();
  emulated.mutable_training()->mutable_emulated_compute()->set_milliseconds(1);
  struct Case {
    std::vector<std::string> arms, grids;
    const char* text;
    int64_t budget = 1000;
    RunSpec base = Base();
    std::vector<std::string> sets = {};
  };
  for (const Case& c : std::vector<Case>{
           {{"ring"}, {"training.batch_per_worker=8,16"}, "would not learn the same thing"},
           {{"ring"}, {"workers=2,4"}, "workers"},
           {{"ring"}, {"lerning_rate=0.1,0.2"}, "--tune lerning_rate=0.1,0.2"},
           {{"ring"}, {"learning_rate=low,high"}, "--tune learning_rate=low,high"},
           {{"ring"}, {"learning_rate=0.1,0.2", "optimizer.learning_rate=1,2"}, "a grid already"},
           {{"ring"}, {"codec.name=fp16,topk"}, "decides this field itself"},
           {{"ring"}, {"staleness_bound=1,2"}, "none of the arms has this field"},
           {{"ring"}, {"learning_rate=0.1,0.2"}, "one step takes 64 samples", 63},
           {{"ring"},
            {"learning_rate=0.1,0.2"},
            "--set too",
            1000,
            Base(),
            {"optimizer.learning_rate=0.1"}},
           {{"ring"}, {"learning_rate=0.1,0.2"}, "computing is emulated", 1000, emulated},
           {{"solo"}, {"learning_rate=0.1,0.2"}, "none of the arms learns"}}) {
    const auto plan = PlanOf(c.arms, c.grids, c.budget, c.base, c.sets);
    ASSERT_FALSE(plan.ok()) << c.grids.front();
    EXPECT_THAT(std::string(plan.status().message()), HasSubstr(c.text));
  }
}

}  // namespace
}  // namespace ringmaster
