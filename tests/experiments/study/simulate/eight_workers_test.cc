// Eight simulated workers end with the bits and bytes of eight real ones, by every scheme, codec
// and collective. Few steps of a small model. Sums are exact where nothing is encoded; what is
// encoded is added in the order of ranks.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/resolve_spec.h"
#include "gtest/gtest.h"
#include "tests/experiments/study/simulate/same_as_real.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

// Three steps, and a mark before the last.
RunSpec EightWorkers(bool exact_sums = true) {
  RunSpec base = SmallSpec(8, exact_sums);
  base.mutable_training()->set_steps(3);
  base.mutable_training()->set_warmup_steps(0);
  base.mutable_training()->set_evaluate_every_samples(2 * GlobalBatch(base));
  base.clear_codec();
  return base;
}

class EverySynchronousArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(EightWorkers, EverySynchronousArm,
                         testing::ValuesIn(ArmsThat(IsSynchronousAndLearns)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EverySynchronousArm, EndsWithTheBitsAndBytesOfRealWorkers) {
  RunSpec spec = ArmOf(GetParam(), EightWorkers());
  ExchangeOften(&spec);
  ExpectSameAsReal(spec);
}

class EveryCodec : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(EightWorkers, EveryCodec, testing::ValuesIn(AllCodecs()),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryCodec, EndsWithTheBitsAndBytesOfRealWorkers) {
  CodecSpec codec;
  ChooseCodec(GetParam(), &codec);
  int runs = 0;
  for (const char* arm : {"ring", "ps"}) {
    RunSpec base = EightWorkers(CodecTraitsOf(codec)->exact);
    base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
    RunSpec spec = ArmOf(arm, base);
    *spec.mutable_codec() = codec;
    if (!ResolveAndValidate(spec, "").ok()) continue;
    ExpectSameAsReal(spec);
    ++runs;
  }
  EXPECT_GT(runs, 0);
}

// Of gradients, and of weights.
TEST(EveryCollective, EndsWithTheBitsAndBytesOfRealWorkers) {
  for (const CollectiveInfo& collective : CollectiveChoices()) {
    const std::string name(collective.name);
    RunSpec sums = ArmOf("ring", EightWorkers());
    sums.mutable_strategy()->mutable_all_reduce()->set_collective(name);
    RunSpec averages = ArmOf("local-sgd", EightWorkers());
    ExchangeOften(&averages);
    averages.mutable_strategy()->mutable_local_sgd()->set_collective(name);
    int runs = 0;
    for (RunSpec* const spec : {&sums, &averages}) {
      spec->set_name(absl::StrCat(spec->name(), " by ", name));
      if (!ResolveAndValidate(*spec, "").ok() ||
          !CheckSimulatable(OnNetwork(*spec), Learning()).ok())
        continue;
      ExpectSameAsReal(*spec);
      ++runs;
    }
    EXPECT_GT(runs, 0) << name;
  }
}

}  // namespace
}  // namespace ringmaster
