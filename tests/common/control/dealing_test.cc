// Which batch of the stream is whose.
#include "common/control/dealing.h"

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(Dealing, SampleJOfATurnHasThePositionOfTheDataOrder) {
  for (const int32_t ranks : {1, 2, 3, 5}) {
    for (const int32_t accumulate : {1, 2, 4}) {
      const int64_t samples = 6;  // b
      const int64_t global_batch = ranks * accumulate * samples;
      const Dealing dealing{ranks, accumulate};
      for (const int64_t step : {0, 1, 7, 1 << 30}) {
        for (int32_t rank = 0; rank < ranks; ++rank) {
          for (int32_t a = 0; a < accumulate; ++a) {
            EXPECT_EQ(dealing.BatchOf({step, rank, a}) * samples,
                      step * global_batch + rank * accumulate * samples + a * samples);
          }
        }
      }
    }
  }
}

TEST(Dealing, EveryBatchIsDealtOnceAndAStepTakesItsOwnInOrder) {
  const Dealing dealing{3, 2};
  int64_t next = 0;
  for (int64_t step = 0; step < 10; ++step) {
    for (int32_t rank = 0; rank < 3; ++rank) {
      for (int32_t a = 0; a < 2; ++a) EXPECT_EQ(dealing.BatchOf({step, rank, a}), next++);
    }
  }
}

TEST(DealingDeathTest, ATurnThatTheRunHasNotIsABug) {
  const Dealing dealing{3, 2};
  for (const BatchTurn& turn : {BatchTurn{0, 3, 0}, {0, 0, 2}, {-1, 0, 0}, {0, -1, 0}}) {
    EXPECT_DEATH(dealing.BatchOf(turn), "turn");
  }
}

}  // namespace
}  // namespace ringmaster
