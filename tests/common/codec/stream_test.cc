#include "common/codec/stream.h"

#include <set>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(CodecStream, DrawsFromTheSeedsThatRunsAreRepeatedWith) {
  const CodecStream bucket = BucketStream(7, {12, 50}, 3);
  EXPECT_EQ(bucket.Seed(), MixSeed(MixSeed(MixSeed(7, 0x6f776e), 50), 3));
  EXPECT_EQ(bucket.SharedSeed(), MixSeed(MixSeed(MixSeed(7, 0x736861726564), 12), 3));
  EXPECT_EQ(PartStream(7, {12, 50}, {3, 1, 2}).Seed(),
            MixSeed(MixSeed(MixSeed(7, 0x6f776e), 50), 3 * 2 + 1));
  // By hand, so that a change of MixSeed is seen too.
  EXPECT_EQ(bucket.Seed(), 0x1cef9cb3fae0b7eau);
  EXPECT_EQ(bucket.SharedSeed(), 0xf04deb0f3eacf8cau);
}

TEST(CodecStream, ASendersOwnDrawFollowsTheLotAndASharedOneTheStep) {
  // Whoever computes lot 50, in whichever of its steps, draws the same.
  EXPECT_EQ(BucketStream(7, {12, 50}, 3).Seed(), BucketStream(7, {40, 50}, 3).Seed());
  EXPECT_NE(BucketStream(7, {12, 50}, 3).Seed(), BucketStream(7, {12, 51}, 3).Seed());
  // All who send in step 12 draw the same elements, whatever they compute.
  EXPECT_EQ(BucketStream(7, {12, 50}, 3).SharedSeed(), BucketStream(7, {12, 51}, 3).SharedSeed());
  EXPECT_NE(BucketStream(7, {12, 50}, 3).SharedSeed(), BucketStream(7, {13, 50}, 3).SharedSeed());
}

TEST(CodecStream, NoTwoDrawsOfARunShareASeed) {
  std::set<uint64_t> of_buckets, of_parts;
  for (int64_t step = 0; step < 5; ++step) {
    for (int32_t bucket = 0; bucket < 6; ++bucket) {
      of_buckets.insert(BucketStream(1, {step, 0}, bucket).SharedSeed());
      for (int32_t rank = 0; rank < 4; ++rank) {
        const StepLot of{step, step * 4 + rank};
        of_buckets.insert(BucketStream(1, of, bucket).Seed());
        for (int32_t server = 0; server < 3; ++server)
          of_parts.insert(PartStream(1, of, {bucket, server, 3}).Seed());
      }
    }
  }
  EXPECT_EQ(of_buckets.size(), 5u * 6 * (4 + 1));
  EXPECT_EQ(of_parts.size(), 5u * 6 * 4 * 3);
}

}  // namespace
}  // namespace ringmaster
