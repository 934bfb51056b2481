// What every fabric between processes does when one of them is lost and the others go on.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "common/base/monotonic.h"
#include "common/tensor/tensor.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

using Bytes = std::vector<std::byte>;

constexpr int64_t kLarge = 12 << 20;  // more than any socket or pool takes at once

absl::Span<std::byte> BytesOf(Buffer& buffer) {
  return absl::MakeSpan(reinterpret_cast<std::byte*>(buffer.floats()), buffer.size_bytes());
}

class Losses : public testing::TestWithParam<std::string> {
 protected:
  // Three processes with a worker each.
  void Join(bool outlives_peers = true) {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    options.credentials.token = "of this test";
    options.outlives_peers = outlives_peers;
    absl::StatusOr<FabricGroup> group = JoinFabrics(options, {1, 1, 1});
    ASSERT_TRUE(group.ok()) << group.status();
    group_ = *std::move(group);
  }

  // Workers 0 and 2 exchange a message each way.
  void ExpectOthersGoOn() {
    for (const auto& [from, to] : {std::make_pair(0, 2), std::make_pair(2, 0)}) {
      const Tag tag = TestTag(++exchanged_);
      const Bytes sent(70'000, std::byte{7});
      Bytes arrived(sent.size());
      const auto receive = group_.worker(to).Receive({Worker(from), tag, absl::MakeSpan(arrived)});
      ASSERT_OK(receive.status());
      const auto send = group_.worker(from).Send({Worker(to), tag, sent});
      ASSERT_OK(send.status());
      ASSERT_OK(group_.worker(to).Wait(*receive, Soon()));
      ASSERT_OK(group_.worker(from).Wait(*send, Soon()));
      EXPECT_EQ(arrived, sent);
    }
  }

  void ForgetTheSecond() {
    group_.fabrics[0]->Forget(1);
    group_.fabrics[2]->Forget(1);
  }

  FabricGroup group_;
  int64_t exchanged_ = 1000;
};

TEST_P(Losses, WithoutTheOptionAPeersEndAbortsTheOthers) {
  Join(/*outlives_peers=*/false);
  Bytes out(8);
  Received received;
  const auto receive =
      group_.worker(0).Receive({Worker(1), TestTag(0), absl::MakeSpan(out), &received});
  ASSERT_OK(receive.status());
  group_.fabrics[1].reset();
  const absl::Status status = group_.worker(0).Wait(*receive, Soon());
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_P(Losses, OperationsWithALostPeerWaitUntilItIsForgottenAndNobodyElseIsDisturbed) {
  Join();
  Bytes out(8), last(8);
  Received received;
  Transport& survivor = group_.worker(0);
  const auto receive = survivor.Receive({Worker(1), TestTag(0), absl::MakeSpan(out), &received});
  ASSERT_OK(receive.status());
  const auto plain = survivor.Receive({Worker(1), TestTag(1), absl::MakeSpan(last)});
  ASSERT_OK(plain.status());
  absl::StatusOr<Buffer> memory = group_.fabrics[0]->AllocateExchange(kLarge);
  ASSERT_OK(memory.status());
  const auto send = survivor.Send({Worker(1), TestTag(2), BytesOf(*memory)});
  ASSERT_OK(send.status());
  const Bytes ordinary(kLarge);
  const auto second_send = survivor.Send({Worker(1), TestTag(3), ordinary});
  ASSERT_OK(second_send.status());

  group_.fabrics[1].reset();
  ExpectOthersGoOn();
  EXPECT_TRUE(absl::IsDeadlineExceeded(survivor.Wait(*receive, MonotonicNow())));

  ForgetTheSecond();
  ASSERT_OK(survivor.Wait(*receive, Soon()));
  EXPECT_TRUE(received.lost);
  const absl::Status of_plain = survivor.Wait(*plain, Soon());
  EXPECT_TRUE(absl::IsUnavailable(of_plain)) << of_plain;
  ASSERT_OK(survivor.Wait(*send, Soon()));
  ASSERT_OK(survivor.Wait(*second_send, Soon()));
  ExpectOthersGoOn();
}

TEST_P(Losses, OperationsBegunAfterItIsForgottenEndAtOnce) {
  Join();
  ForgetTheSecond();  // it is still there
  Transport& survivor = group_.worker(0);
  const Bytes sent(5'000);                      // read until the lost process is gone
  for (int64_t step = 0; step < 300; ++step) {  // more than any queue holds
    Bytes out(8);
    Received received;
    const auto receive =
        survivor.Receive({Worker(1), TestTag(step), absl::MakeSpan(out), &received});
    ASSERT_OK(receive.status());
    const auto send = survivor.Send({Worker(1), TestTag(step), sent});
    ASSERT_OK(send.status());
    ASSERT_OK(survivor.Wait(*send, Soon()));
    ASSERT_OK(survivor.Wait(*receive, Soon()));
    EXPECT_TRUE(received.lost);
    // What it sends goes nowhere, and disturbs nobody.
    ASSERT_OK(group_.worker(1).Send({Worker(0), TestTag(step), sent}).status());
  }
  ExpectOthersGoOn();
  group_.fabrics[1].reset();
  ExpectOthersGoOn();
}

// Whatever has arrived of a message: all of it, a part, or nothing.
TEST_P(Losses, AMessageThatIsCutEndsEveryReceiveOfIt) {
  for (int round = 0; round < 4; ++round) {
    Join();
    const bool adds = round % 2 == 1;
    const bool is_early = round >= 3;
    absl::StatusOr<Buffer> memory = group_.fabrics[1]->AllocateExchange(kLarge);
    ASSERT_OK(memory.status());
    std::fill_n(memory->floats(), kLarge / sizeof(float), 1.0f);
    const Bytes ordinary(kLarge);
    std::vector<float> out(kLarge / sizeof(float), 1.0f);
    const auto place = absl::MakeSpan(reinterpret_cast<std::byte*>(out.data()), kLarge);
    Transport& survivor = group_.worker(0);
    const auto post = [&] {
      return survivor.Receive(
          {Worker(1), TestTag(0), place, adds ? ReceiveMode::kAddFloat32 : ReceiveMode::kStore});
    };
    absl::StatusOr<OpId> receive;
    if (!is_early) receive = post();
    const absl::Span<const std::byte> sent =
        round < 2 ? absl::Span<const std::byte>(BytesOf(*memory)) : ordinary;
    ASSERT_OK(group_.worker(1).Send({Worker(0), TestTag(0), sent}).status());
    // Some of it is on its way.
    Bytes nothing(8);
    const auto other = survivor.Receive({Worker(2), TestTag(0), absl::MakeSpan(nothing)});
    ASSERT_OK(other.status());
    EXPECT_TRUE(absl::IsDeadlineExceeded(
        survivor.Wait(*other, MonotonicNow() + absl::Milliseconds(round))));
    if (is_early) receive = post();
    ASSERT_OK(receive.status());
    group_.fabrics[1].reset();
    ForgetTheSecond();
    const absl::Status status = survivor.Wait(*receive, Soon());
    EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
    ExpectOthersGoOn();
    group_ = {};
  }
}

TEST_P(Losses, MemoryThatALostPeerHasLentStaysReadableAndMayBeReturned) {
  Join();
  absl::StatusOr<Buffer> memory = group_.fabrics[1]->AllocateExchange(1 << 20);
  ASSERT_OK(memory.status());
  std::fill_n(memory->floats(), memory->size_bytes() / sizeof(float), 3.0f);
  Bytes out(1 << 20);
  Received received;
  Loan loan;
  Transport& survivor = group_.worker(0);
  const auto receive =
      survivor.Receive({Worker(1), TestTag(0), absl::MakeSpan(out), &received, &loan});
  ASSERT_OK(receive.status());
  ASSERT_OK(group_.worker(1).Send({Worker(0), TestTag(0), BytesOf(*memory)}).status());
  ASSERT_OK(survivor.Wait(*receive, Soon()));
  EXPECT_EQ(received.bytes, 1 << 20);
  group_.fabrics[1].reset();
  ForgetTheSecond();
  const absl::Span<const std::byte> bytes =
      loan.memory.empty() ? absl::MakeConstSpan(out) : loan.memory;
  const auto* floats = reinterpret_cast<const float*>(bytes.data());
  EXPECT_EQ(std::count(floats, floats + bytes.size() / sizeof(float), 3.0f), (1 << 20) / 4);
  if (!loan.memory.empty()) survivor.Return(Worker(1), TestTag(0), loan);
  ExpectOthersGoOn();
}

std::vector<std::string> TransportsThatLose() {
  std::vector<std::string> names = ProcessTransports();
  for (const std::string& name : HostTransports()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Losses, testing::ValuesIn(TransportsThatLose()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace ringmaster
