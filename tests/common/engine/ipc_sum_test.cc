#include "common/engine/cuda_ipc/ipc_sum.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/engine/cuda_ipc/board.h"
#include "gtest/gtest.h"
#include "tests/common/engine/host_device.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr int64_t kSlotFloats = 24;
constexpr absl::Duration kWaitLimit = Patience(20);

TEST(IpcChunk, TogetherChunksAreThePieceAndEachBeginsAtAGroupOfFour) {
  for (const int32_t ranks : {1, 2, 3, 7, 64}) {
    for (const int64_t count : {0, 1, 3, 4, 5, 8, 63, 64, 65, 1000, 4099}) {
      int64_t end = 0;
      for (int32_t rank = 0; rank < ranks; ++rank) {
        const Range chunk = IpcChunk(count, ranks, rank);
        EXPECT_EQ(chunk.begin, end);
        EXPECT_TRUE(chunk.begin % 4 == 0 || chunk.begin == count);
        EXPECT_GE(chunk.count, 0);
        EXPECT_LE(chunk.count, 4 * CeilDiv(CeilDiv(count, 4), ranks));
        end = chunk.end();
      }
      EXPECT_EQ(end, count) << ranks << " ranks";
    }
  }
}

// Numbers whose sum depends on the order in which they are added.
float Value(uint64_t seed, int32_t rank, int call, size_t i) {
  Random random(MixSeed(MixSeed(seed, rank * 1000 + call), i));
  return (2.0f * random.Uniform() - 1.0f) * static_cast<float>(1 << random.Below(20));
}

size_t CountOf(int call) {
  constexpr size_t kCounts[] = {5 * kSlotFloats + 7, 1, 2 * kSlotFloats, 0, kSlotFloats - 1,
                                3 * kSlotFloats + 1};
  return kCounts[call];
}
constexpr int kCalls = 6;

// How many floats of all ranks are not the sum in the order of the ranks.
int64_t WrongFloats(int32_t ranks, uint64_t seed, double eagerness) {
  HostDevice device(ranks, kSlotFloats, seed, eagerness);
  auto board = Board::Create(ranks);
  EXPECT_TRUE(board.ok()) << board.status();
  std::vector<int64_t> wrong(ranks, 0);
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      const std::unique_ptr<IpcStream> stream = device.Stream(rank);
      IpcSum sum({rank, ranks, kSlotFloats, kWaitLimit}, &*board, stream.get());
      for (int call = 0; call < kCalls; ++call) {
        std::vector<float> data(CountOf(call));
        for (size_t i = 0; i < data.size(); ++i) data[i] = Value(seed, rank, call, i);
        // Every other call from elsewhere.
        const std::vector<float> from = data;
        if (call % 2 == 1) std::fill(data.begin(), data.end(), -1.0f);
        const absl::Status status =
            sum.Run(call % 2 == 1 ? from.data() : data.data(), absl::MakeSpan(data));
        ASSERT_TRUE(status.ok()) << status;
        for (size_t i = 0; i < data.size(); ++i) {
          float expected = Value(seed, 0, call, i);
          for (int32_t other = 1; other < ranks; ++other) expected += Value(seed, other, call, i);
          wrong[rank] += std::memcmp(&data[i], &expected, sizeof(float)) != 0;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t all = 0;
  for (const int64_t of_rank : wrong) all += of_rank;
  return all;
}

TEST(IpcSum, EveryRankGetsTheSumInRankOrderHoweverTheStreamsRun) {
  for (const int32_t ranks : {1, 2, 3, 4}) {
    for (const double eagerness : {0.0, 0.3, 0.9}) {
      for (uint64_t seed = 1; seed <= 20; ++seed) {
        ASSERT_EQ(WrongFloats(ranks, seed, eagerness), 0)
            << ranks << " ranks, eagerness " << eagerness << ", seed " << seed;
      }
    }
  }
}

TEST(IpcSum, ARankThatGivesUpEndsTheOthersCall) {
  HostDevice device(2, kSlotFloats, 1, 0.5);
  auto board = Board::Create(2);
  ASSERT_TRUE(board.ok());
  const std::unique_ptr<IpcStream> stream = device.Stream(0);
  IpcSum sum({0, 2, kSlotFloats, kWaitLimit}, &*board, stream.get());
  std::vector<float> data(100, 1.0f);
  std::thread other([&] { board->GiveUp(1); });
  const absl::Status status = sum.Run(data.data(), absl::MakeSpan(data));
  other.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST(IpcSum, APeerThatDoesNotComeIsNamedAtTheLimit) {
  HostDevice device(2, kSlotFloats, 1, 0.5);
  auto board = Board::Create(2);
  ASSERT_TRUE(board.ok());
  const std::unique_ptr<IpcStream> stream = device.Stream(0);
  IpcSum sum({0, 2, kSlotFloats, absl::Milliseconds(10)}, &*board, stream.get());
  std::vector<float> data(100, 1.0f);
  const absl::Status status = sum.Run(data.data(), absl::MakeSpan(data));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_NE(status.message().find("behind is rank 1 with 0"), absl::string_view::npos) << status;
}

// A peer whose host has told everything and whose device never gets there.
TEST(IpcSum, ADeviceThatDoesNotMoveEndsTheCallAtTheLimit) {
  class Stuck : public IpcStream {
   public:
    absl::Status CopyIn(int, absl::Span<const float>) override { return absl::OkStatus(); }
    absl::Status Record(IpcMoment, int) override { return absl::OkStatus(); }
    absl::Status WaitFor(int32_t, IpcMoment, int) override { return absl::OkStatus(); }
    absl::Status Sum(int, const Range&) override { return absl::OkStatus(); }
    absl::Status CopyOut(int32_t, int, const Range&, absl::Span<float>) override {
      return absl::OkStatus();
    }
    absl::StatusOr<bool> Done() override { return false; }
  } stream;
  auto board = Board::Create(1);
  ASSERT_TRUE(board.ok());
  IpcSum sum({0, 1, kSlotFloats, absl::Milliseconds(10)}, &*board, &stream);
  std::vector<float> data(30, 1.0f);
  const absl::Status status = sum.Run(data.data(), absl::MakeSpan(data));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_NE(status.message().find("has not summed 2 pieces"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace ringmaster
