#include "common/base/monotonic.h"
#include "common/engine/cuda_ipc/board.h"

#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kWaitLimit = Patience(20);

TEST(Board, AWaitEndsWhenTheLastRankHasShownAndSeesWhatItDidBefore) {
  auto board = Board::Create(2);
  ASSERT_TRUE(board.ok()) << board.status();
  for (int64_t round = 1; round <= 1000; ++round) {
    int64_t written = 0;
    std::thread other([&] {
      written = round;
      board->Show(1, BoardRow::kReady, round);
    });
    board->Show(0, BoardRow::kReady, round);
    ASSERT_TRUE(board->WaitForAll(BoardRow::kReady, round, MonotonicNow() + kWaitLimit).ok());
    EXPECT_EQ(written, round);
    other.join();
  }
}

TEST(Board, AnotherProcessFindsItByItsNameAndItsCountersAreSeen) {
  auto board = Board::Create(2);
  ASSERT_TRUE(board.ok()) << board.status();
  const Board::Name name = board->name();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto opened = Board::Open(name, 2);
    if (!opened.ok()) _exit(1);
    opened->Show(1, BoardRow::kSummed, 7);
    _exit(opened->WaitForAll(BoardRow::kReady, 3, MonotonicNow() + kWaitLimit).ok() ? 0 : 2);
  }
  EXPECT_TRUE(board->WaitForAll(BoardRow::kReady, 0, MonotonicNow() + kWaitLimit).ok());
  board->Show(0, BoardRow::kSummed, 7);
  EXPECT_TRUE(board->WaitForAll(BoardRow::kSummed, 7, MonotonicNow() + kWaitLimit).ok());
  // Of both ranks, so that the child's wait ends.
  board->Show(0, BoardRow::kReady, 3);
  board->Show(1, BoardRow::kReady, 3);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Board, AtTheDeadlineThoseWhoAreBehindAreNamed) {
  auto board = Board::Create(3);
  ASSERT_TRUE(board.ok()) << board.status();
  board->Show(0, BoardRow::kReady, 5);
  board->Show(2, BoardRow::kReady, 4);
  const absl::Status status =
      board->WaitForAll(BoardRow::kReady, 5, MonotonicNow() + absl::Milliseconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(
      std::string(status.message()),
      HasSubstr("waited in vain for 5 pieces ready; behind is rank 1 with 0, rank 2 with 4"));
}

TEST(Board, WhoGivesUpEndsEveryWaitThatIsAndWillBe) {
  auto board = Board::Create(2);
  ASSERT_TRUE(board.ok()) << board.status();
  absl::Status woken;
  std::thread waiting(
      [&] { woken = board->WaitForAll(BoardRow::kReady, 1, MonotonicNow() + kWaitLimit); });
  board->GiveUp(1);
  waiting.join();
  EXPECT_TRUE(absl::IsCancelled(woken)) << woken;
  EXPECT_THAT(std::string(woken.message()), HasSubstr("rank 1 gave up"));
  board->GiveUp(0);
  EXPECT_THAT(std::string(board->status().message()), HasSubstr("rank 1 gave up"));
  EXPECT_TRUE(
      absl::IsCancelled(board->WaitForAll(BoardRow::kReady, 0, MonotonicNow() + kWaitLimit)));
}

TEST(Board, AnotherNumberOfRanksIsRefused) {
  auto board = Board::Create(2);
  ASSERT_TRUE(board.ok()) << board.status();
  EXPECT_TRUE(absl::IsInvalidArgument(Board::Open(board->name(), 3).status()));
}

}  // namespace
}  // namespace ringmaster
