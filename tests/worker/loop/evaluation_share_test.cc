#include "gtest/gtest.h"
#include "worker/loop/evaluate.h"

namespace ringmaster {
namespace {

SampleShape ShapeOf(int32_t context) {
  SampleShape shape;
  shape.context = context;
  return shape;
}

TEST(EvaluationShare, SharesCoverEverySampleOnceInWholeBatchesAndRankOrder) {
  for (const int32_t context : {0, 64}) {
    for (const int64_t count : {1, 63, 64, 255, 256, 257, 1337, 10000}) {
      const SampleShape shape = ShapeOf(context);
      for (const int32_t workers : {1, 2, 3, 5, 7, 64}) {
        int64_t covered = 0;
        for (int32_t rank = 0; rank < workers; ++rank) {
          const Range share = EvaluationShare(shape, count, workers, rank);
          EXPECT_EQ(share.begin, covered)
              << count << " samples, rank " << rank << " of " << workers;
          if (share.count > 0) {
            EXPECT_EQ(share.begin % EvaluationBatch(shape), 0);
          }
          covered = share.end();
        }
        EXPECT_EQ(covered, count) << workers << " workers";
      }
    }
  }
}

TEST(EvaluationShare, SharesDifferByAtMostABatch) {
  const SampleShape shape = ShapeOf(0);
  for (int32_t rank = 0; rank < 3; ++rank) {
    const int64_t count = EvaluationShare(shape, 10000, 3, rank).count;
    EXPECT_GE(count, 10000 / 3 - EvaluationBatch(shape));
    EXPECT_LE(count, 10000 / 3 + EvaluationBatch(shape));
  }
}

TEST(FinalLoss, CountsAllOfMnistAndTheBeginningOfALongText) {
  Samples mnist;
  mnist.labels.resize(60000);
  EXPECT_EQ(FinalLossSamples(mnist), 60000);
  Samples text;
  text.shape = ShapeOf(64);
  text.labels.resize(64 * 50000);
  EXPECT_EQ(FinalLossSamples(text), 60000 / 64);
  text.labels.resize(64 * 3);
  EXPECT_EQ(FinalLossSamples(text), 3);
}

}  // namespace
}  // namespace ringmaster
