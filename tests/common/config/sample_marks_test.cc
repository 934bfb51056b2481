#include "common/config/describe.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/scheme/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

RunSpec SpecOf(RunSpec spec, int64_t every, int64_t steps) {
  spec.mutable_training()->set_batch_per_worker(3);
  spec.mutable_training()->set_steps(steps);
  spec.mutable_training()->set_evaluate_every_samples(every);
  return spec;
}

// Update by update: the first at which a multiple is reached or passed is a mark, and the last.
// `one` is an update, `all` the whole run, whose last update may be smaller.
std::vector<SampleMark> Counted(const RunSpec& spec, const SampleMark& one, const SampleMark& all) {
  std::vector<SampleMark> marks;
  const int64_t every = spec.training().evaluate_every_samples();
  int64_t next = every;
  for (int64_t update = 1; marks.empty() || marks.back().samples < all.samples; ++update) {
    const int64_t samples = std::min(update * one.samples, all.samples);
    if (samples < all.samples && (every == 0 || samples < next)) continue;
    marks.push_back({std::min(update * one.update, all.update), samples});
    while (every > 0 && next <= samples) next += every;
  }
  return marks;
}

TEST(SampleMarks, AreTheFirstUpdatesAtWhichEveryMultipleIsReachedAndTheLastOne) {
  for (const std::string& name : AllArms()) {
    const ArmUnderTest arm = DescribeArm(name);
    const bool scored = arm.traits.replicas != Replicas::kIndependent;
    const bool on_arrival = arm.traits.updates == Updates::kOnArrival;
    // Of two workers' lots, those that an update is made from, and the steps that it counts as.
    const int64_t counted = on_arrival ? std::max(1, arm.traits.local_steps) : 1;
    const int64_t lots = on_arrival ? counted : 2 - arm.traits.backup_workers;
    for (const int64_t steps : {1, 2, 7, 50}) {
      for (int64_t every = 0; every <= 70; ++every) {
        const RunSpec spec = SpecOf(arm.spec, every, steps);
        const std::vector<SampleMark> marks = SampleMarks(spec);
        const int64_t lot = GlobalBatch(spec) / 2;
        const SampleMark all = {on_arrival ? 2 * steps : steps,
                                on_arrival ? 2 * steps * lot : steps * lots * lot};
        const std::vector<SampleMark> expected =
            scored ? Counted(spec, {counted, lots * lot}, all) : std::vector<SampleMark>();
        const std::string what = absl::StrCat(name, " every ", every, " steps ", steps);
        ASSERT_EQ(marks.size(), expected.size()) << what;
        for (size_t i = 0; i < marks.size(); ++i) {
          EXPECT_EQ(marks[i].update, expected[i].update) << what;
          EXPECT_EQ(marks[i].samples, expected[i].samples) << what;
        }
        EXPECT_EQ(MarkCopies(spec), scored ? static_cast<int64_t>(marks.size()) - 1 : 0) << what;
      }
    }
  }
}

TEST(SampleMarks, EmulatedComputingScoresNothing) {
  RunSpec spec = SpecOf(DescribeArm("ring").spec, 6, 10);
  spec.mutable_training()->mutable_emulated_compute()->set_milliseconds(1);
  EXPECT_TRUE(SampleMarks(spec).empty());
  EXPECT_EQ(MarkCopies(spec), 0);
}

TEST(MarkCopies, MoreThanTheLimitHoldsAreRefusedWithWhatFits) {
  RunSpec spec = SpecOf(DescribeArm("ring").spec, 6, 101);  // a mark after every step
  spec.mutable_limits()->set_mark_copies_bytes(4 * 1000 * 100);
  EXPECT_EQ(CheckMarkCopies(spec, 1000), absl::OkStatus());
  spec.mutable_limits()->set_mark_copies_bytes(4 * 1000 * 100 - 1);
  const absl::Status refused = CheckMarkCopies(spec, 1000);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("a copy of 4000 bytes at 100 marks, and limits.mark_copies_bytes = 399999 "
                        "has room for 99; use --evaluate-every 7 or more, or --set "
                        "limits.mark_copies_bytes=400000"));
  spec.mutable_limits()->set_mark_copies_bytes(0);
  EXPECT_THAT(std::string(CheckMarkCopies(spec, 1000).message()),
              HasSubstr("has room for 0; use --evaluate-every 0 (only at the end)"));
  spec.mutable_training()->set_evaluate_every_samples(0);
  EXPECT_EQ(CheckMarkCopies(spec, 1000), absl::OkStatus());
}

// The average of replicas needs them all.
TEST(MarkCopies, OfAnAverageEveryWorkerKeepsOne) {
  for (const std::string& arm : AllArms()) {
    RunSpec spec = SpecOf(DescribeArm(arm).spec, 6, 101);
    const SchemeTraits traits = DescribeArm(arm).traits;
    // A center is one, at servers or at every worker.
    const bool is_average = traits.replicas == Replicas::kOnAverage && traits.collective.empty() &&
                            traits.servers == 0;
    const bool is_local = traits.exchanged == Exchanged::kWeightsAfter;
    EXPECT_EQ(MarkHolders(spec), is_average || is_local ? traits.workers : 1) << arm;
    if (MarkHolders(spec) == 1) continue;
    spec.mutable_limits()->set_mark_copies_bytes(4 * 1000 * MarkCopies(spec) * traits.workers);
    EXPECT_EQ(CheckMarkCopies(spec, 1000), absl::OkStatus()) << arm;
    EXPECT_EQ(CheckMarkCopies(spec, 1001).code(), absl::StatusCode::kResourceExhausted) << arm;
  }
}

// Whatever the limit, what the text advises is enough, and one sample less is not.
TEST(MarkCopies, TheSpacingThatIsAdvisedIsTheSmallestThatFits) {
  for (const std::string& arm : {std::string("ring"), std::string("async")}) {
    RunSpec spec = SpecOf(DescribeArm(arm).spec, 1, 40);
    for (int64_t fit = 1; fit < MarkCopies(spec); ++fit) {
      spec.mutable_limits()->set_mark_copies_bytes(4 * fit);
      const std::string text(CheckMarkCopies(spec, 1).message());
      const size_t at = text.find("--evaluate-every ");
      ASSERT_NE(at, std::string::npos) << text;
      RunSpec advised = spec;
      const int64_t every = std::stoll(text.substr(at + 17));
      advised.mutable_training()->set_evaluate_every_samples(every);
      EXPECT_EQ(CheckMarkCopies(advised, 1), absl::OkStatus()) << text;
      advised.mutable_training()->set_evaluate_every_samples(every - 1);
      EXPECT_FALSE(CheckMarkCopies(advised, 1).ok()) << text;
    }
  }
}

TEST(MarkCopies, WithoutALimitInTheSpecItIsTwoGibibytes) {
  const RunSpec spec = SpecOf(DescribeArm("ring").spec, 6, 3);  // two copies
  EXPECT_EQ(CheckMarkCopies(spec, kMarkCopiesBytesDefault / 8), absl::OkStatus());
  EXPECT_FALSE(CheckMarkCopies(spec, kMarkCopiesBytesDefault / 8 + 1).ok());
}

}  // namespace
}  // namespace ringmaster
