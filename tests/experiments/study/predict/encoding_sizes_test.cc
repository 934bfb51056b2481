#include "experiments/study/predict/encoding_sizes.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/kept_sizes.pb.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

// Two buckets of 40 and 60 elements, each half on one of two servers.
class EncodingSizesTest : public testing::Test {
 protected:
  EncodingSizesTest() {
    model_.set_name("mlp");
    codec_.set_name("threshold");
    SetCodecDefaults(&codec_);
    run_ = {&model_, &codec_, nullptr, &layout_, /*servers=*/2, /*local_steps=*/0};
    *kept_.mutable_model() = model_;
    *kept_.mutable_codec() = codec_;
    kept_.set_servers(2);
    kept_.add_bucket_elements(40);
    kept_.add_bucket_elements(60);
    kept_.set_worker_count(2);
    for (int rank = 0; rank < 2; ++rank) {
      WorkerSizes* const worker = kept_.add_workers();
      for (int number = 0; number < 3; ++number) {
        for (int slice = 0; slice < 4; ++slice) worker->add_up(40 * rank + 10 * number + slice);
      }
    }
  }

  std::string WhyNot(const KeptSizes& kept) const {
    return std::string(CheckKeptSizes(kept, run_).message());
  }

  ModelSpec model_;
  CodecSpec codec_;
  const ParamLayout layout_{
      {{"a", {40}, 0, 0, false}, {"b", {60}, 0, 0, false}}, 40, BucketLayout::kWholeTensors};
  EncodedRun run_;
  KeptSizes kept_;
};

TEST_F(EncodingSizesTest, AreThoseOfTheFileByRankAndNumber) {
  ASSERT_EQ(layout_.buckets().size(), 2u);
  const auto sizes = EncodingSizes::Create(run_, &kept_);
  ASSERT_TRUE(sizes.ok()) << sizes.status();
  EXPECT_EQ((*sizes)->Up({0, 0, 0, 0}), 0);
  EXPECT_EQ((*sizes)->Up({2, 1, 1, 0}), 62);
  EXPECT_EQ((*sizes)->Up({1, 0, 0, 1}), 11);
  EXPECT_EQ((*sizes)->Up({1, 5, 0, 1}), 51) << "rank modulo 2";
  EXPECT_EQ((*sizes)->Up({4, 0, 0, 0}), 10) << "all three again";
  EXPECT_EQ((*sizes)->Down({0, 0, 1, 1}), 30 * 4) << "floats";
}

TEST_F(EncodingSizesTest, AreTheMostThereMayBeWithoutAFile) {
  const auto sizes = EncodingSizes::Create(run_, nullptr);
  ASSERT_TRUE(sizes.ok()) << sizes.status();
  EXPECT_EQ((*sizes)->Up({7, 3, 1, 1}), (*CreateCodec(codec_))->MaxEncodedBytes(30));
}

// Floats first, then what is chosen of them.
TEST_F(EncodingSizesTest, FollowTheCodecFromStepToStep) {
  codec_.Clear();
  codec_.set_name("topk");
  codec_.set_density(0.1);
  codec_.set_warmup_steps(2);
  const auto sizes = EncodingSizes::Create(run_, nullptr);
  ASSERT_TRUE(sizes.ok()) << sizes.status();
  EXPECT_EQ((*sizes)->Up({1, 0, 0, 0}), 20 * 4);
  EXPECT_EQ((*sizes)->Up({2, 0, 0, 0}), 2 * 8);
  const auto later = EncodingSizes::Create(run_, nullptr, /*first=*/2);
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_EQ((*later)->Up({0, 0, 0, 0}), 2 * 8);
  codec_.set_min_tensor_elements(50);  // the tensor in bucket 0 is small
  const auto small = EncodingSizes::Create(run_, nullptr);
  ASSERT_TRUE(small.ok()) << small.status();
  EXPECT_EQ((*small)->Up({2, 0, 0, 0}), 20 * 4);
  EXPECT_EQ((*small)->Up({2, 0, 0, 1}), 3 * 8);
}

TEST_F(EncodingSizesTest, AreNotNeededWhereSumsTravel) {
  for (const char* name : {"none", "fp16"}) {
    codec_.Clear();
    codec_.set_name(name);
    const auto sizes = EncodingSizes::Create(run_, nullptr);
    ASSERT_TRUE(sizes.ok()) << sizes.status();
    EXPECT_EQ(*sizes, nullptr) << name;
  }
}

TEST_F(EncodingSizesTest, BeyondTheLastNumberTheLastTenComeAgain) {
  EXPECT_EQ(KeptNumberFor(24, 25), 24);
  EXPECT_EQ(KeptNumberFor(25, 25), 15);
  EXPECT_EQ(KeptNumberFor(34, 25), 24);
  EXPECT_EQ(KeptNumberFor(35, 25), 15);
  EXPECT_EQ(KeptNumberFor(9, 1), 0);
}

TEST_F(EncodingSizesTest, OfAnotherRunAreRefusedWithWhatDiffers) {
  EXPECT_EQ(WhyNot(kept_), "");
  const auto with = [&](const auto& change) {
    KeptSizes other = kept_;
    change(&other);
    return WhyNot(other);
  };
  EXPECT_THAT(with([](KeptSizes* other) { other->mutable_model()->set_name("lenet"); }),
              HasSubstr("the sizes are of model name: \"lenet\", and the run is of name: \"mlp\""));
  EXPECT_THAT(with([](KeptSizes* other) { other->mutable_codec()->set_threshold(0.5); }),
              HasSubstr("of codec name: \"threshold\""));
  EXPECT_THAT(with([](KeptSizes* other) { other->mutable_down_codec()->set_name("topk"); }),
              HasSubstr("of down_codec name: \"topk\", and the run is of \"none\""));
  EXPECT_THAT(with([](KeptSizes* other) { other->set_servers(1); }),
              HasSubstr("of servers 1, and the run is of 2; keep them anew"));
  EXPECT_THAT(with([](KeptSizes* other) { other->set_local_steps(4); }),
              HasSubstr("of steps made alone 4, and the run is of 0"));
  EXPECT_THAT(with([](KeptSizes* other) { other->add_bucket_elements(1); }),
              HasSubstr("of buckets 3, and the run is of 2"));
  EXPECT_THAT(with([](KeptSizes* other) { other->set_bucket_elements(1, 61); }),
              HasSubstr("of bucket 1 with elements 61, and the run is of 60"));
}

TEST_F(EncodingSizesTest, ThatNoEncodingHasAreRefused) {
  const auto with = [&](const auto& change) {
    KeptSizes wrong = kept_;
    change(&wrong);
    return WhyNot(wrong);
  };
  EXPECT_THAT(with([](KeptSizes* wrong) {
                wrong->clear_workers();
                wrong->clear_worker_count();
              }),
              HasSubstr("of 0 workers"));
  EXPECT_THAT(with([](KeptSizes* wrong) { wrong->mutable_workers()->RemoveLast(); }),
              HasSubstr("of 1 workers; expected worker_count 2"));
  EXPECT_THAT(with([](KeptSizes* wrong) { wrong->mutable_workers(1)->clear_up(); }),
              HasSubstr("workers[1] of the sizes: there are 0"));
  EXPECT_THAT(with([](KeptSizes* wrong) { wrong->mutable_workers(0)->mutable_up()->RemoveLast(); }),
              HasSubstr("workers[0] of the sizes: there are 11; expected one for each of 4"));
  EXPECT_THAT(with([](KeptSizes* wrong) { wrong->mutable_workers(0)->set_up(6, -1); }),
              HasSubstr("-1 bytes of slice 2 in message 1; expected 0 to "));
  EXPECT_THAT(
      with([](KeptSizes* wrong) { wrong->mutable_workers(0)->set_up(6, int64_t{1} << 50); }),
      HasSubstr("the most that codec \"threshold\" makes of it"));
}

}  // namespace
}  // namespace ringmaster
