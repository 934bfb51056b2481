#include "experiments/proof/bench/peer_process.h"

#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kLimit = Patience(30);

TEST(PeerProcess, AnswersLineByLineAndSeesItsEnvironment) {
  auto peer = PeerProcess::Start(
      {"sh", "-c", "echo $GREETING; while read line; do echo got $line; done"}, {"GREETING=hello"});
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ((*peer)->ReadLine(kLimit, nullptr).value_or("none"), "hello");
  ASSERT_EQ((*peer)->WriteLine("1 2"), absl::OkStatus());
  ASSERT_EQ((*peer)->WriteLine("3"), absl::OkStatus());
  EXPECT_EQ((*peer)->ReadLine(kLimit, nullptr).value_or("none"), "got 1 2");
  EXPECT_EQ((*peer)->ReadLine(kLimit, nullptr).value_or("none"), "got 3");
}

TEST(PeerProcess, AnEndIsTold) {
  auto peer = PeerProcess::Start({"no-such-program-anywhere"}, {});
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ((*peer)->ReadLine(kLimit, nullptr).status().code(), absl::StatusCode::kUnavailable);
}

TEST(PeerProcess, AnInterruptEndsTheWaitForALine) {
  auto peer = PeerProcess::Start({"cat"}, {});
  ASSERT_TRUE(peer.ok()) << peer.status();
  const std::atomic<bool> interrupted{true};
  EXPECT_EQ((*peer)->ReadLine(kLimit, &interrupted).status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace ringmaster
