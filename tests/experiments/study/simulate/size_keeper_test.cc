#include "experiments/study/simulate/size_keeper.h"

#include <string>
#include <vector>

#include "common/config/textproto.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Two buckets, which two workers gather.
class SizeKeeperTest : public testing::Test {
 protected:
  SizeKeeperTest() {
    model_.set_name("mlp");
    codec_.set_name("threshold");
    SetCodecDefaults(&codec_);
    run_ = {&model_, &codec_, nullptr, &layout_};
  }

  ModelSpec model_;
  CodecSpec codec_;
  const ParamLayout layout_{
      {{"a", {40}, 0, 0, false}, {"b", {60}, 0, 0, false}}, 40, BucketLayout::kWholeTensors};
  EncodedRun run_;
};

TEST_F(SizeKeeperTest, KeepsWhatItIsToldAndWhatTheFileReadsBack) {
  SizeKeeper keeper(run_, 2);
  for (int rank = 0; rank < 2; ++rank) {
    for (int bucket = 0; bucket < 2; ++bucket) keeper.Up({0, rank, 0, bucket}, 10 * rank + bucket);
  }
  keeper.Down({0, 0, 0, 0}, 7);  // weights go as floats
  const absl::StatusOr<KeptSizes> kept = keeper.Kept("ring");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(CheckKeptSizes(*kept, run_).ok());
  EXPECT_THAT(kept->workers(1).up(), ElementsAre(10, 11));
  EXPECT_TRUE(kept->workers(0).down().empty());
  KeptSizes read;
  ASSERT_TRUE(ParseTextproto(ToText(*kept), "text", &read).ok());
  EXPECT_EQ(read.SerializeAsString(), kept->SerializeAsString());
  EXPECT_THAT(ToText(*kept), HasSubstr("up: [10, 11]"));
}

TEST_F(SizeKeeperTest, AMessageThatWasLeftOutHasTheSizesOfTheOneBefore) {
  SizeKeeper keeper(run_, 1);
  keeper.Up({1, 0, 0, 0}, 5);
  keeper.Up({1, 0, 0, 1}, 6);
  keeper.Up({3, 0, 0, 0}, 7);
  keeper.Up({4, 0, 0, 1}, 8);
  const absl::StatusOr<KeptSizes> kept = keeper.Kept("ring");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_THAT(kept->workers(0).up(), ElementsAre(5, 6, 5, 6, 5, 6, 7, 6, 7, 8));
}

TEST_F(SizeKeeperTest, OfAWorkerThatSentNothingThereIsNothing) {
  SizeKeeper keeper(run_, 2);
  keeper.Up({0, 0, 0, 0}, 5);
  keeper.Up({0, 0, 0, 1}, 6);
  EXPECT_THAT(keeper.Kept("ring").status().message(), HasSubstr("worker/1 has sent no encoding"));
}

// 65536 sizes of two buckets are those of 32768 steps.
TEST_F(SizeKeeperTest, KeepsTheFirstStepsOfALongRunAndAFileThatIsRead) {
  SizeKeeper keeper(run_, 1);
  for (int64_t step = 0; step < 40000; ++step) {
    for (int bucket = 0; bucket < 2; ++bucket) keeper.Up({step, 0, 0, bucket}, 100000000 + step);
  }
  const absl::StatusOr<KeptSizes> kept = keeper.Kept("ring");
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_EQ(kept->workers(0).up_size(), SizeKeeper::kSizesMax);
  EXPECT_EQ(kept->workers(0).up(SizeKeeper::kSizesMax - 1), 100032767);
  EXPECT_LT(ToText(*kept).size(), size_t{1} << 20);
}

TEST_F(SizeKeeperTest, WhereNothingVariesOrTooMuchItIsSaidBefore) {
  EXPECT_TRUE(SizeKeeper::Check(run_, 4096).ok());
  run_.servers = 64;
  EXPECT_THAT(SizeKeeper::Check(run_, 4096).message(), HasSubstr("of a run of fewer workers"));
  codec_.Clear();
  codec_.set_name("topk");
  EXPECT_THAT(SizeKeeper::Check(run_, 2).message(), HasSubstr("follow from the codec"));
}

}  // namespace
}  // namespace ringmaster
