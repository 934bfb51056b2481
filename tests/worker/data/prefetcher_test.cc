#include "worker/data/prefetcher.h"

#include <atomic>
#include <set>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/support/patience.h"
#include "worker/data/synthetic.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kDeadline = Patience(30);

// Writes k into the batch.
absl::Status FillWithNumber(int64_t k, Batch* batch) {
  batch->indices.assign(3, k);
  return absl::OkStatus();
}

class Depths : public ::testing::TestWithParam<int32_t> {};

TEST_P(Depths, AllBatchesComeInOrderAndThenOutOfRange) {
  constexpr int64_t kCount = 500;
  Prefetcher prefetcher(kCount, GetParam(), FillWithNumber);
  for (int64_t k = 0; k < kCount; ++k) {
    const auto batch = prefetcher.Next();
    ASSERT_TRUE(batch.ok()) << batch.status();
    ASSERT_EQ((*batch)->indices, std::vector<int64_t>(3, k));
  }
  EXPECT_EQ(prefetcher.Next().status().code(), absl::StatusCode::kOutOfRange);
}

TEST_P(Depths, TheBatchesOfALoaderAreTheSameBits) {
  SyntheticSpec spec;
  spec.set_channels(1);
  spec.set_height(2);
  spec.set_width(3);
  spec.set_classes(5);
  spec.set_noise(0.5f);
  const Dataset dataset = MakeSynthetic(spec, 7, 23, 4);
  const DataOrder order{9, 23, 5};
  Loader ahead(dataset.train, order);
  Prefetcher prefetcher(60, GetParam(), [&](int64_t k, Batch* batch) {
    ahead.Fill(k, batch);
    return absl::OkStatus();
  });
  Loader reference(dataset.train, order);
  for (int64_t k = 0; k < 60; ++k) {
    const auto batch = prefetcher.Next();
    ASSERT_TRUE(batch.ok()) << batch.status();
    Batch expected;
    reference.Fill(k, &expected);
    EXPECT_EQ((*batch)->indices, expected.indices) << "batch " << k;
    EXPECT_EQ((*batch)->labels, expected.labels) << "batch " << k;
    EXPECT_EQ((*batch)->features, expected.features) << "batch " << k;
  }
}

TEST_P(Depths, TheMemoryOfDepthPlusOneBatchesIsUsedAgain) {
  Prefetcher prefetcher(100, GetParam(), FillWithNumber);
  std::set<const int64_t*> memory;
  for (int64_t k = 0; k < 100; ++k) memory.insert((*prefetcher.Next())->indices.data());
  EXPECT_EQ(memory.size(), static_cast<size_t>(GetParam() + 1));
}

TEST_P(Depths, AnErrorComesInItsBatchsPlaceAndStays) {
  Prefetcher prefetcher(10, GetParam(), [](int64_t k, Batch* batch) {
    return k == 4 ? absl::DataLossError("batch 4 is lost") : FillWithNumber(k, batch);
  });
  for (int64_t k = 0; k < 4; ++k) {
    const auto batch = prefetcher.Next();
    ASSERT_TRUE(batch.ok()) << batch.status();
    EXPECT_EQ((*batch)->indices[0], k);
  }
  EXPECT_EQ(prefetcher.Next().status(), absl::DataLossError("batch 4 is lost"));
  EXPECT_EQ(prefetcher.Next().status(), absl::DataLossError("batch 4 is lost"));
}

TEST_P(Depths, AfterStopNothingIsMadeAndNextSaysSo) {
  std::atomic<int64_t> made{0};
  Prefetcher prefetcher(1000, GetParam(), [&](int64_t k, Batch* batch) {
    made = k + 1;
    return FillWithNumber(k, batch);
  });
  ASSERT_TRUE(prefetcher.Next().ok());
  prefetcher.Stop();
  const int64_t at_stop = made;
  EXPECT_LE(at_stop, 1 + GetParam());
  EXPECT_EQ(prefetcher.Next().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(made, at_stop);
}

INSTANTIATE_TEST_SUITE_P(Prefetcher, Depths, ::testing::Values(0, 1, 2, 7));

TEST(Prefetcher, BatchesAreMadeAheadWithoutBeingAskedForButNoMoreThanDepth) {
  constexpr int32_t kDepth = 3;
  std::atomic<int64_t> made{0};
  absl::Notification first_three, fifth, sixth;
  Prefetcher prefetcher(100, kDepth, [&](int64_t k, Batch* batch) {
    made = k + 1;
    if (k == 2) first_three.Notify();
    if (k == 4) fifth.Notify();
    if (k == 5) sixth.Notify();
    return FillWithNumber(k, batch);
  });
  ASSERT_TRUE(first_three.WaitForNotificationWithTimeout(kDeadline)) << "nothing is made ahead";
  // Batch 0 is in use: 1, 2 and 3 may be made, 4 not before batch 1 is asked for.
  ASSERT_EQ((*prefetcher.Next())->indices[0], 0);
  EXPECT_LE(made, 4);
  EXPECT_FALSE(fifth.HasBeenNotified());
  ASSERT_EQ((*prefetcher.Next())->indices[0], 1);
  ASSERT_TRUE(fifth.WaitForNotificationWithTimeout(kDeadline));
  EXPECT_FALSE(sixth.HasBeenNotified());
}

TEST(Prefetcher, TheBatchInUseIsLeftAloneWhileOthersAreMade) {
  absl::Notification third;
  Prefetcher prefetcher(100, 2, [&](int64_t k, Batch* batch) {
    const absl::Status status = FillWithNumber(k, batch);
    if (k == 2) third.Notify();
    return status;
  });
  const Batch* first = *prefetcher.Next();
  ASSERT_TRUE(third.WaitForNotificationWithTimeout(kDeadline));
  EXPECT_EQ(first->indices, std::vector<int64_t>(3, 0));
}

TEST(Prefetcher, StopDoesNotWaitForRoomInTheQueue) {
  absl::Notification full;
  Prefetcher prefetcher(100, 1, [&](int64_t k, Batch* batch) {
    if (k == 1) full.Notify();
    return FillWithNumber(k, batch);
  });
  ASSERT_TRUE(full.WaitForNotificationWithTimeout(kDeadline));
  prefetcher.Stop();  // returns, though nobody ever asks for a batch
}

}  // namespace
}  // namespace ringmaster
