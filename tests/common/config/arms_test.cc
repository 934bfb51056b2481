#include "common/config/arms.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/config/comparable.h"
#include "common/config/load.h"
#include "common/config/override.h"
#include "common/config/resolve.h"
#include "common/config/validate.h"
#include "common/scheme/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"

namespace ringmaster {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

RunSpec Resolved(absl::string_view arm, const RunSpec& base = RunSpec()) {
  const auto spec = MakeArm(arm, base);
  EXPECT_TRUE(spec.ok()) << spec.status();
  const auto resolved = Resolve(*spec, {"/data", 60000});
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

TEST(Arms, EveryArmOfAnEmptySpecIsLegalAndComparableWithEveryOther) {
  for (const ArmInfo& a : Arms()) {
    const RunSpec spec = Resolved(a.name);
    EXPECT_TRUE(Validate(spec, TestNames()).ok()) << a.name << ": " << Validate(spec, TestNames());
    EXPECT_EQ(spec.name(), a.name);
    // An arm that works on whole tensors asks the others for them.
    for (const ArmInfo& b : Arms()) {
      const RunSpec other = Resolved(b.name);
      RunSpec base;
      base.mutable_training()->set_bucket_layout(
          std::max(spec.training().bucket_layout(), other.training().bucket_layout()));
      EXPECT_EQ(CheckComparable(Resolved(a.name, base), Resolved(b.name, base)), absl::OkStatus())
          << a.name << " and " << b.name;
      const bool is_equal = spec.training().bucket_layout() == other.training().bucket_layout();
      EXPECT_EQ(CheckComparable(spec, other).ok(), is_equal) << a.name << " and " << b.name;
    }
  }
}

TEST(Arms, EveryArmIsLegalWithOneAndWithFourWorkersOverTcp) {
  for (int32_t workers : {1, 4}) {
    RunSpec base;
    base.mutable_training()->set_workers(workers);
    base.mutable_transport()->set_name("tcp");
    for (const ArmInfo& arm : Arms()) {
      const RunSpec spec = Resolved(arm.name, base);
      // One worker alone cannot be spared.
      const bool is_legal = TraitsOf(spec).backup_workers < workers;
      const absl::Status status = Validate(spec, TestNames());
      EXPECT_EQ(status.ok(), is_legal) << arm.name << ": " << status;
    }
  }
}

TEST(Arms, TheDefaultOnesAreThoseOfTheMainJobInOrder) {
  std::vector<std::string> names;
  for (const ArmInfo& arm : Arms()) {
    if (arm.by_default) names.push_back(arm.name);
  }
  EXPECT_THAT(names, ElementsAre("single", "solo", "dp", "ps", "ps-sharded", "ssp", "ring", "async",
                                 "async-topk"));
}

TEST(Arms, ServersPlacementAndProcessesAreCounted) {
  RunSpec base;
  base.mutable_training()->set_workers(4);
  const auto counts = [&](const char* arm) {
    const RunSpec spec = Resolved(arm, base);
    return std::make_pair(TraitsOf(spec).servers, TraitsOf(spec).processes);
  };
  EXPECT_EQ(counts("single"), std::make_pair(0, 1));
  EXPECT_EQ(counts("solo"), std::make_pair(0, 4));
  EXPECT_EQ(counts("dp"), std::make_pair(1, 1));
  EXPECT_EQ(counts("ps"), std::make_pair(1, 5));
  EXPECT_EQ(counts("ps-sharded"), std::make_pair(4, 4));
  EXPECT_EQ(counts("ring"), std::make_pair(0, 4));
  base.mutable_strategy()->mutable_parameter_server()->set_servers(2);
  EXPECT_EQ(counts("ps"), std::make_pair(2, 6));
  EXPECT_EQ(counts("ps-sharded"), std::make_pair(4, 4));
  EXPECT_EQ(counts("dp"), std::make_pair(1, 1));
}

TEST(Arms, SspDiffersFromPsInConsistencyAlone) {
  RunSpec ps = Resolved("ps");
  const RunSpec ssp = Resolved("ssp");
  EXPECT_EQ(ssp.strategy().parameter_server().staleness_bound(), 2);
  ps.set_name("ssp");
  ps.mutable_strategy()->mutable_parameter_server()->set_consistency(ParameterServerSpec::SSP);
  ps.mutable_strategy()->mutable_parameter_server()->set_staleness_bound(2);
  EXPECT_EQ(SerializeRunSpec(ps), SerializeRunSpec(ssp));
}

TEST(Arms, AnUnknownArmListsTheKnownOnes) {
  const auto spec = MakeArm("rings", RunSpec());
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(spec.status().message()),
      HasSubstr("arm \"rings\": no such arm; did you mean \"ring\"? known are single, solo, dp"));
}

// What CheckTaken says of "field=value" for some arms; empty: nothing.
std::string SaidOf(const std::string& assignment, const std::vector<std::string>& names) {
  RunSpec base;
  EXPECT_TRUE(SetField(assignment, &base).ok()) << assignment;
  std::vector<RunSpec> arms;
  for (const std::string& name : names) arms.push_back(*MakeArm(name, base));
  return std::string(CheckTaken({assignment}, arms).message());
}

TEST(Arms, TakeACodecBehindAPlusWithTheOptionsThatAreItsOwn) {
  RunSpec base;
  base.mutable_codec()->set_levels(15);
  base.mutable_codec()->set_block(64);
  base.mutable_codec()->set_error_feedback(true);
  const RunSpec qsgd = *MakeArm("ps-sharded+qsgd", base), int8 = *MakeArm("ring+int8", base);
  EXPECT_EQ(qsgd.name(), "ps-sharded+qsgd");
  EXPECT_EQ(qsgd.codec().name(), "qsgd");
  EXPECT_TRUE(qsgd.strategy().parameter_server().placement() == ParameterServerSpec::COLOCATED);
  EXPECT_EQ(qsgd.codec().levels(), 15);
  EXPECT_EQ(int8.codec().block(), 64);
  EXPECT_TRUE(int8.codec().error_feedback());
  EXPECT_FALSE(int8.codec().has_levels()) << "int8 has none";
  EXPECT_EQ(MakeArm("ring", base)->codec().ShortDebugString(), "name: \"none\"");
  EXPECT_EQ(SaidOf("codec.levels=15", {"ring", "ring+int8", "ps+qsgd"}), "");
  EXPECT_THAT(SaidOf("codec.levels=15", {"ring+int8"}),
              HasSubstr("none of the arms has this field"));
  EXPECT_THAT(std::string(MakeArm("ring+int9", base).status().message()),
              AllOf(HasSubstr("arm \"ring+int9\": no such codec"), HasSubstr("\"int8\"")));
  EXPECT_THAT(std::string(MakeArm("ring-fp16+int8", base).status().message()),
              HasSubstr("it has the codec \"fp16\" already; leave +int8 out"));
  EXPECT_THAT(std::string(MakeArm("rong+int8", base).status().message()), HasSubstr("no such arm"));
}

TEST(Arms, AFieldThatAnArmDecidesIsRefusedWithTheArmsThatHaveIt) {
  EXPECT_THAT(SaidOf("codec.name=fp16", {"ps", "ring"}),
              AllOf(HasSubstr("codec.name=fp16: arm \"ps\" decides this field itself"),
                    HasSubstr("arms with it: "), HasSubstr("ring-fp16")));
  EXPECT_THAT(SaidOf("strategy.all_reduce.collective=direct", {"ring"}),
              HasSubstr("arms with it: direct"));
  EXPECT_THAT(SaidOf("strategy.parameter_server.placement=COLOCATED", {"ps"}),
              HasSubstr("arms with it: dp, ps-sharded"));
  EXPECT_THAT(SaidOf("name=mine", {"ring"}), HasSubstr("run spec of your own"));
  // Nobody in the comparison has it.
  EXPECT_THAT(SaidOf("codec.density=0.5", {"ring", "ps"}),
              AllOf(HasSubstr("none of the arms has this field"), HasSubstr("topk")));
  EXPECT_THAT(SaidOf("strategy.parameter_server.servers=3", {"ps-sharded"}),
              HasSubstr("none of the arms has this field"));
}

TEST(Arms, WhatAnArmLeavesOpenIsTakenAndWhatOthersTakeIsNoError) {
  RunSpec base;
  base.mutable_codec()->set_error_feedback(false);
  base.mutable_strategy()->set_launch(THREADS);
  EXPECT_FALSE(MakeArm("async-topk", base)->codec().error_feedback());
  EXPECT_FALSE(MakeArm("ring", base)->codec().has_error_feedback());
  EXPECT_EQ(MakeArm("ps", base)->strategy().launch(), THREADS);
  EXPECT_EQ(SaidOf("codec.error_feedback=false", {"ring", "async-topk"}), "");
  EXPECT_EQ(SaidOf("codec.density=0.5", {"ring", "async-topk"}), "");
  EXPECT_EQ(SaidOf("strategy.launch=THREADS", {"dp", "ps", "ring"}), "");
  EXPECT_EQ(SaidOf("strategy.parameter_server.servers=3", {"ring", "ps", "ps-sharded", "dp"}), "");
  EXPECT_EQ(SaidOf("strategy.all_reduce.collective=ring", {"ring", "ps"}), "");
  EXPECT_EQ(SaidOf("transport.name=tcp", {"dp", "ps"}), "");
  EXPECT_EQ(SaidOf("training.steps=5", {"dp", "ps"}), "");
}

TEST(Comparable, TheFirstFieldThatDiffersIsNamedWithBothValues) {
  RunSpec base;
  base.mutable_training()->set_batch_per_worker(64);
  base.mutable_limits()->set_wait_seconds(5);
  const absl::Status status = CheckComparable(Resolved("ps"), Resolved("ring", base));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("training.batch_per_worker is 32 in \"ps\" and 64 in \"ring\""));
}

TEST(Comparable, EveryFieldOutsideStrategyAndCodecCounts) {
  const RunSpec a = Resolved("ps");
  const std::vector<void (*)(RunSpec*)> changes = {
      [](RunSpec* s) { s->mutable_model()->add_mlp_hidden(3); },
      [](RunSpec* s) { s->mutable_data()->set_seed(2); },
      [](RunSpec* s) { s->mutable_data()->set_train_limit(5); },
      [](RunSpec* s) { s->mutable_optimizer()->mutable_step_schedule()->set_factor(0.5f); },
      [](RunSpec* s) { s->mutable_training()->set_deterministic(true); },
      [](RunSpec* s) { s->mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS); },
      [](RunSpec* s) { s->mutable_transport()->set_name("tcp"); },
      [](RunSpec* s) { s->mutable_transport()->set_segment_bytes(4096); },
      [](RunSpec* s) { s->mutable_limits()->set_heartbeat_seconds(0.25); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    RunSpec b = a;
    changes[i](&b);
    EXPECT_FALSE(CheckComparable(a, b).ok()) << "change " << i;
    EXPECT_FALSE(CheckComparable(b, a).ok()) << "change " << i;
  }
}

TEST(Comparable, TheLayoutOfBucketsIsNamedWhereItDiffersAndIsCutWhereNobodySaysIt) {
  RunSpec base;
  base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  EXPECT_THAT(std::string(CheckComparable(Resolved("ps"), Resolved("ring", base)).message()),
              HasSubstr("training.bucket_layout is CUT in \"ps\" and WHOLE_TENSORS in \"ring\""));
  EXPECT_TRUE(CheckComparable(Resolved("ps", base), Resolved("ring", base)).ok());
}

// Both are tuned on the grid 0.1, 0.2 of the field.
void Tune(const std::string& field, RunSpec* a, RunSpec* b) {
  for (RunSpec* spec : {a, b}) {
    TunedFieldSpec* tuned = spec->mutable_tuning()->add_fields();
    tuned->set_field(field);
    tuned->add_values("0.1");
    tuned->add_values("0.2");
  }
}

TEST(Comparable, ATunedFieldMayDifferWhereBothWereTunedOnOneGrid) {
  RunSpec ps = Resolved("ps"), ring = Resolved("ring");
  ring.mutable_optimizer()->set_learning_rate(0.2f);
  EXPECT_FALSE(CheckComparable(ps, ring).ok()) << "nothing says why";
  Tune("optimizer.learning_rate", &ps, &ring);
  EXPECT_TRUE(CheckComparable(ps, ring).ok());
  ring.mutable_tuning()->mutable_fields(0)->add_values("0.4");
  EXPECT_THAT(std::string(CheckComparable(ps, ring).message()), HasSubstr("tuning.fields is"));
  ring.clear_tuning();
  EXPECT_FALSE(CheckComparable(ps, ring).ok());
}

TEST(Comparable, OnlyTheTunedFieldMayDiffer) {
  RunSpec ps = Resolved("ps"), ring = Resolved("ring");
  Tune("optimizer.learning_rate", &ps, &ring);
  ring.mutable_optimizer()->set_weight_decay(0.1f);
  EXPECT_THAT(std::string(CheckComparable(ps, ring).message()),
              HasSubstr("optimizer.weight_decay"));
}

TEST(Comparable, OnlyFieldsOfOptimizerCodecAndStrategyCanBeTuned) {
  for (const char* field :
       {"optimizer.learning_rate", "codec.density", "strategy.parameter_server.staleness_bound"}) {
    EXPECT_TRUE(IsTunable(field)) << field;
  }
  for (const char* field : {"training.batch_per_worker", "data.seed", "optimizer", "name",
                            "optimizers.learning_rate", ""}) {
    EXPECT_FALSE(IsTunable(field)) << field;
  }
}

TEST(Comparable, WhatARunLeavesBehindDoesNotCount) {
  RunSpec ring = Resolved("ring");
  ring.mutable_output()->set_save_weights("ring.safetensors");
  EXPECT_TRUE(CheckComparable(Resolved("ps"), ring).ok());
}

TEST(Comparable, TheFileOfTheInitialWeightsCounts) {
  RunSpec ring = Resolved("ring");
  ring.mutable_training()->set_init_weights("w.safetensors");
  EXPECT_THAT(std::string(CheckComparable(Resolved("ps"), ring).message()),
              HasSubstr("training.init_weights is"));
}

TEST(Comparable, TheTransportMayDifferForThreadsAloneAndOnlyByName) {
  const RunSpec ps = Resolved("ps");
  RunSpec dp = Resolved("dp");
  EXPECT_EQ(dp.transport().name(), "inproc");
  EXPECT_TRUE(CheckComparable(ps, dp).ok());
  dp.mutable_transport()->set_segment_bytes(4096);
  EXPECT_FALSE(CheckComparable(ps, dp).ok());
}

}  // namespace
}  // namespace ringmaster
