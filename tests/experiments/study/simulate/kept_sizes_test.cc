// A run in simulated time that takes the sizes of its encodings from a file has the time and the
// bytes of the run that learned.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/codec/codec.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/study/predict/encoding_sizes.h"
#include "experiments/study/simulate/simulated_run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

// Lets some of this model's gradients pass.
CodecSpec SomePass() {
  CodecSpec codec;
  ChooseCodec("threshold", &codec);
  codec.set_threshold(0.02);
  return codec;
}

// Of every codec, the settings whose promises are proved and whose sizes vary.
std::vector<CodecSpec> VaryingSettings() {
  std::vector<CodecSpec> settings = {SomePass()};
  for (const CodecInfo& info : Codecs()) {
    for (CodecSpec& setting : ProofSettings(info)) {
      if (VariesInSize(setting)) settings.push_back(std::move(setting));
    }
  }
  return settings;
}

// `base` on a network with the arm's strategy and that codec; absent: they do not go together.
std::optional<RunSpec> RunOf(const std::string& arm, const RunSpec& base, const CodecSpec& codec) {
  RunSpec spec = ArmOf(arm, base);
  *spec.mutable_codec() = codec;
  NetworkSpec* const network = spec.mutable_transport()->mutable_network();
  network->set_megabits_per_second(100);
  network->set_latency_ms(0.05);
  const absl::StatusOr<RunSpec> resolved = ResolveAndValidate(spec, "");
  if (!resolved.ok()) return std::nullopt;
  return *resolved;
}

// Few steps of workers whose times are drawn, so that those who claim work claim unlike shares.
RunSpec ShortRun(int32_t workers) {
  RunSpec base = SmallSpec(workers, /*exact_sums=*/false);
  base.mutable_training()->set_steps(6);
  base.mutable_training()->clear_warmup_steps();
  base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  return base;
}

SimulationOptions Drawn() {
  SimulationOptions options;
  options.compute.mean = absl::Milliseconds(1);
  options.compute.sigma = 0.3;
  return options;
}

// What a run that learns is, and what its encodings took.
struct Learned {
  RunRecord record;
  KeptSizes sizes;
};
Learned Learn(const RunSpec& spec, bool keeps = true) {
  Learned learned;
  SimulationOptions options = Drawn();
  options.learns = true;
  if (keeps) {
    options.keep_sizes = [&learned](const KeptSizes& sizes) {
      learned.sizes = sizes;
      return absl::OkStatus();
    };
  }
  learned.record = SimulateRun(spec, options);
  EXPECT_EQ(learned.record.status(), "ok");
  return learned;
}

RunRecord Play(const RunSpec& spec, std::optional<KeptSizes> sizes) {
  SimulationOptions options = Drawn();
  options.sizes = std::move(sizes);
  RunRecord record = SimulateRun(spec, options);
  EXPECT_EQ(record.status(), "ok");
  return record;
}

std::vector<WorkerReport> WorkersOf(const RunRecord& record) {
  std::vector<WorkerReport> workers;
  for (const ProcessReport& process : record.reports())
    workers.insert(workers.end(), process.workers().begin(), process.workers().end());
  return workers;
}

void ExpectSameTimesAndBytes(const RunRecord& played, const RunRecord& learned) {
  EXPECT_EQ(played.simulation().virtual_seconds(), learned.simulation().virtual_seconds());
  EXPECT_EQ(played.simulation().messages(), learned.simulation().messages());
  const std::vector<WorkerReport> own = WorkersOf(played), others = WorkersOf(learned);
  ASSERT_EQ(own.size(), others.size());
  for (size_t i = 0; i < own.size(); ++i) {
    EXPECT_EQ(absl::StrJoin(own[i].step_ms(), " "), absl::StrJoin(others[i].step_ms(), " "));
    EXPECT_EQ(absl::StrJoin(own[i].lots(), " "), absl::StrJoin(others[i].lots(), " "));
    EXPECT_EQ(own[i].payload_bytes_up(), others[i].payload_bytes_up());
    EXPECT_EQ(own[i].payload_bytes_down(), others[i].payload_bytes_down());
  }
}

class EveryArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(KeptSizes, EveryArm, testing::ValuesIn(ArmsThat(Exchanges)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryArm, TakesWithItsOwnSizesTheTimeAndBytesThatItTookWhenItLearned) {
  for (const int32_t workers : {2, 3, 4}) {
    for (const CodecSpec& codec : VaryingSettings()) {
      SCOPED_TRACE(absl::StrCat("N=", workers, " ", codec.ShortDebugString()));
      const std::optional<RunSpec> spec = RunOf(GetParam(), ShortRun(workers), codec);
      if (!spec.has_value()) continue;
      const Learned learned = Learn(*spec);
      EXPECT_EQ(learned.sizes.workers_size(), workers);
      ExpectSameTimesAndBytes(Play(*spec, learned.sizes), learned.record);
    }
  }
}

TEST_P(EveryArm, TakesTheSizesOfAnswersToo) {
  CodecSpec up;
  up.set_name(kNoCodec);
  for (const CodecSpec& down : VaryingSettings()) {
    SCOPED_TRACE(down.ShortDebugString());
    RunSpec base = ArmOf(GetParam(), ShortRun(3));
    *base.mutable_strategy()->mutable_parameter_server()->mutable_down_codec() = down;
    const std::optional<RunSpec> spec = RunOf(GetParam(), base, up);
    if (!spec.has_value() || DownCodecOf(*spec) == nullptr) continue;
    const Learned learned = Learn(*spec);
    EXPECT_TRUE(learned.sizes.workers(0).up().empty());
    ExpectSameTimesAndBytes(Play(*spec, learned.sizes), learned.record);
  }
}

// A codec whose sizes do not vary says them itself: of every step, where the first ones go as they
// are, and of small tensors, which always do.
TEST_P(EveryArm, NeedsNoFileWhereSizesFollowFromTheCodec) {
  for (const std::string& name :
       CodecsThat([](const CodecInfo& info) { return info.traits.fixed_size; })) {
    RunSpec base = ShortRun(3);
    CodecSpec codec;
    ChooseCodec(name, &codec);
    codec.set_warmup_steps(2);
    std::optional<RunSpec> spec = RunOf(GetParam(), base, codec);
    codec.set_min_tensor_elements(20);
    const std::optional<RunSpec> small = RunOf(GetParam(), base, codec);
    for (const std::optional<RunSpec>& run : {spec, small}) {
      if (!run.has_value()) continue;
      SCOPED_TRACE(run->codec().ShortDebugString());
      ExpectSameTimesAndBytes(Play(*run, std::nullopt), Learn(*run, /*keeps=*/false).record);
    }
  }
}

// Where every other worker sends what the first two have sent.
TEST(KeptSizes, AreTheirsByRankModuloTheirNumberForMoreWorkers) {
  const CodecSpec codec = SomePass();
  const KeptSizes kept = Learn(RunOf("ring", ShortRun(2), codec).value()).sizes;
  ASSERT_EQ(kept.workers_size(), 2);
  int64_t sums[2] = {};
  for (int rank = 0; rank < 2; ++rank) {
    for (const int64_t bytes : kept.workers(rank).up()) sums[rank] += bytes;
  }
  EXPECT_NE(sums[0], sums[1]);
  EXPECT_NE(kept.workers(0).up(0), kept.workers(0).up(kept.bucket_elements_size())) << "two steps";
  const std::vector<WorkerReport> workers =
      WorkersOf(Play(RunOf("ring", ShortRun(5), codec).value(), kept));
  ASSERT_EQ(workers.size(), 5u);
  for (size_t rank = 0; rank < workers.size(); ++rank)
    EXPECT_EQ(workers[rank].payload_bytes_up(), 4 * sums[rank % 2]);
}

TEST(KeptSizes, OfALongerRunAreTheLastOnesAgain) {
  CodecSpec codec = SomePass();
  const RunSpec spec = RunOf("ring", ShortRun(2), codec).value();
  const KeptSizes kept = Learn(spec).sizes;
  RunSpec longer = spec;
  longer.mutable_training()->set_steps(2 * spec.training().steps());
  // Fewer steps than are repeated were kept, so all come twice.
  EXPECT_EQ(WorkersOf(Play(longer, kept)).front().payload_bytes_up(),
            2 * WorkersOf(Play(spec, kept)).front().payload_bytes_up());
}

TEST(KeptSizes, AreAskedForAndRefusedWithWhatToDo) {
  CodecSpec codec = SomePass();
  const RunSpec spec = RunOf("ring", ShortRun(2), codec).value();
  const auto why = [](const RunSpec& run, const SimulationOptions& options) {
    return std::string(CheckSimulatable(run, options).message());
  };
  SimulationOptions options = Drawn();
  EXPECT_THAT(why(spec, options), HasSubstr("add --learn, or --sizes FILE"));
  options.sizes = Learn(spec).sizes;
  EXPECT_EQ(why(spec, options), "");
  codec.set_threshold(0.5);
  EXPECT_THAT(why(RunOf("ring", ShortRun(2), codec).value(), options),
              HasSubstr("the sizes are of codec"));
  options.merges = true;
  options.compute.sigma = 0;
  EXPECT_THAT(why(spec, options), HasSubstr("sizes of their own, so one worker"));
  options.merges = false;
  options.learns = true;
  EXPECT_THAT(why(spec, options), HasSubstr("leave out one of them"));
  options = Drawn();
  options.keep_sizes = [](const KeptSizes& sizes) { return absl::OkStatus(); };
  EXPECT_THAT(why(spec, options), HasSubstr("without --learn nothing is encoded"));
  options.learns = true;
  EXPECT_EQ(why(spec, options), "");
  CodecSpec none;
  none.set_name(kNoCodec);
  EXPECT_THAT(why(RunOf("ring", ShortRun(2), none).value(), options),
              HasSubstr("follow from the codec"));
  // The answers of servers alone.
  RunSpec down = ArmOf("ps", ShortRun(2));
  ChooseCodec("topk", down.mutable_strategy()->mutable_parameter_server()->mutable_down_codec());
  down.mutable_strategy()->mutable_parameter_server()->mutable_down_codec()->set_rice_indices(true);
  EXPECT_THAT(why(RunOf("ps", down, none).value(), Drawn()), HasSubstr("down_codec \"topk\""));
}

TEST(KeptSizes, ThatCannotBeWrittenAreTheErrorOfTheRun) {
  const CodecSpec codec = SomePass();
  SimulationOptions options = Drawn();
  options.learns = true;
  options.keep_sizes = [](const KeptSizes& sizes) { return absl::DataLossError("disk full"); };
  EXPECT_THAT(SimulateRun(RunOf("ring", ShortRun(2), codec).value(), options).status(),
              HasSubstr("disk full"));
}

}  // namespace
}  // namespace ringmaster
