#include "common/base/monotonic.h"
#include "common/transport/wake.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "common/transport/fabric.h"
#include "common/transport/metered.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

constexpr NodeId kSelf = {Role::kWorker, 0};

MonotonicTime Soon() { return MonotonicNow() + Patience(30); }

// By transport: a thread asleep in any of them is woken.
class WakeTest : public testing::TestWithParam<std::string> {
 protected:
  WakeTest() {
    FabricOptions options;
    options.name = GetParam();
    fabric_ = *CreateFabric(options);
    const absl::Status connected =
        fabric_->Connect({{fabric_->endpoint(), {kSelf, {Role::kWorker, 1}}}}, 0, Soon());
    EXPECT_TRUE(connected.ok()) << connected;
  }

  std::unique_ptr<Fabric> fabric_;
};

TEST_P(WakeTest, NoSignalIsLostWhenItComesBeforeDuringOrAfterTheWaitBegins) {
  Transport& transport = fabric_->transport(kSelf);
  Wake wake(transport, 0);
  constexpr int kItems = 20'000;
  std::atomic<int> produced{0};
  std::thread producer([&] {
    for (int i = 0; i < kItems; ++i) {
      produced.fetch_add(1);
      wake.Signal();
    }
  });
  // Would sleep for ever if a signal after the last look were lost.
  while (produced.load() < kItems) {
    const auto op = wake.Arm();
    ASSERT_TRUE(op.ok()) << op.status();
    const auto index = transport.WaitAny({*op}, Soon());
    ASSERT_TRUE(index.ok()) << index.status();
    wake.Consumed();
  }
  producer.join();
}

TEST_P(WakeTest, OtherMessagesAreStillFoundAndTheWakeStaysArmed) {
  Transport& transport = fabric_->transport(kSelf);
  Wake wake(transport, 3);
  const OpId armed = *wake.Arm();
  EXPECT_EQ(*wake.Arm(), armed);
  const Tag tag = {MessageKind::kTest, 0, 0, 1};
  const OpId post = *transport.Receive({{Role::kWorker, 1}, tag, {}});
  ASSERT_TRUE(fabric_->transport({Role::kWorker, 1}).Send({kSelf, tag, {}}).ok());
  const auto index = transport.WaitAny({armed, post}, Soon());
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(*index, 1);
  EXPECT_EQ(*wake.Arm(), armed);
}

TEST_P(WakeTest, IsNoTraffic) {
  const auto metered =
      CreateMeteredTransport(fabric_->transport(kSelf), *fabric_, [](NodeId) { return false; });
  Wake wake(*metered, 0);
  wake.Signal();
  ASSERT_TRUE(metered->WaitAny({*wake.Arm()}, Soon()).ok());
  EXPECT_TRUE(metered->traffic().sent.empty());
  EXPECT_TRUE(metered->traffic().received.empty());
}

TEST_P(WakeTest, AfterAnAbortNothingSleeps) {
  Transport& transport = fabric_->transport(kSelf);
  Wake wake(transport, 0);
  fabric_->Abort(absl::UnavailableError("gone"));
  wake.Signal();
  EXPECT_EQ(wake.Arm().status(), absl::UnavailableError("gone"));
}

INSTANTIATE_TEST_SUITE_P(All, WakeTest, testing::ValuesIn(AllTransports()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace ringmaster
