#include "gtest/gtest.h"
#include "worker/loop/evaluate.h"

namespace ringmaster {
namespace {

Samples SamplesOf(int64_t count, int32_t context) {
  Samples samples;
  samples.shape.context = context;
  samples.labels.resize(count * samples.shape.labels());
  return samples;
}

TEST(EvaluationShare, SharesCoverEverySampleOnceInWholeBatchesAndRankOrder) {
  for (const int32_t context : {0, 64}) {
    for (const int64_t count : {1, 63, 64, 255, 256, 257, 1337, 10000}) {
      const Samples samples = SamplesOf(count, context);
      for (const int32_t workers : {1, 2, 3, 5, 7, 64}) {
        int64_t covered = 0;
        for (int32_t rank = 0; rank < workers; ++rank) {
          const Range share = EvaluationShare(samples, workers, rank);
          EXPECT_EQ(share.begin, covered) << count << " samples, rank " << rank << " of " << workers;
          if (share.count > 0) {
            EXPECT_EQ(share.begin % EvaluationBatch(samples.shape), 0);
          }
          covered = share.end();
        }
        EXPECT_EQ(covered, count) << workers << " workers";
      }
    }
  }
}

TEST(EvaluationShare, SharesDifferByAtMostABatch) {
  const Samples samples = SamplesOf(10000, 0);
  for (int32_t rank = 0; rank < 3; ++rank) {
    const int64_t count = EvaluationShare(samples, 3, rank).count;
    EXPECT_GE(count, 10000 / 3 - EvaluationBatch(samples.shape));
    EXPECT_LE(count, 10000 / 3 + EvaluationBatch(samples.shape));
  }
}

}  // namespace
}  // namespace ringmaster
