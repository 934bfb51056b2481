#include "common/codec/stream.h"

#include <set>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(CodecStream, DrawsFromTheSeedsThatRunsAreRepeatedWith) {
  EXPECT_EQ(BucketStream(7, 12, 3, 2).Seed(), MixSeed(MixSeed(7, 12), 3 * 4096 + 2));
  EXPECT_EQ(PartStream(7, 12, {3, 1, 2, 4, 5}).Seed(),
            MixSeed(MixSeed(7, 12), (3 * 2 + 1) * 5 + 4));
  // By hand, so that a change of MixSeed is seen too.
  EXPECT_EQ(BucketStream(7, 12, 3, 2).Seed(), 0x88ae5079a6513626u);
  EXPECT_EQ(PartStream(7, 12, {3, 1, 2, 4, 5}).Seed(), 0x9957c93b39e3cedcu);
}

TEST(CodecStream, NoTwoEncodingsOfARunShareASeed) {
  std::set<uint64_t> of_buckets, of_parts;
  for (int64_t step = 0; step < 5; ++step) {
    for (int32_t bucket = 0; bucket < 6; ++bucket) {
      for (int32_t rank = 0; rank < 4; ++rank) {
        of_buckets.insert(BucketStream(1, step, bucket, rank).Seed());
        for (int32_t server = 0; server < 3; ++server) {
          of_parts.insert(PartStream(1, step, {bucket, server, 3, rank, 4}).Seed());
        }
      }
    }
  }
  EXPECT_EQ(of_buckets.size(), 5u * 6 * 4);
  EXPECT_EQ(of_parts.size(), 5u * 6 * 4 * 3);
}

}  // namespace
}  // namespace ringmaster
