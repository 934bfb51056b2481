#include "common/transport/traced.h"

#include <string>
#include <vector>

#include "common/base/monotonic.h"
#include "common/transport/fabric.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/record.pb.h"
#include "tests/support/allocations.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

using Keeps = ThreadRecorder::Keeps;

constexpr NodeId kZero{Role::kWorker, 0};
constexpr NodeId kOne{Role::kWorker, 1};

MonotonicTime Soon() { return MonotonicNow() + Patience(30); }

Tag TagOf(MessageKind kind, int64_t step, int32_t bucket = 0) { return {kind, 0, bucket, step}; }

// Two nodes of one process, both traced in step 5.
class TracedPair : public testing::Test {
 protected:
  TracedPair() {
    FabricOptions options;
    options.name = "inproc";
    fabric_ = *CreateFabric(options);
    const std::vector<NodeId> nodes = {kZero, kOne};
    EXPECT_TRUE(fabric_->Connect({{"", nodes}}, 0, Soon()).ok());
    zero_ = CreateTracedTransport(fabric_->transport(kZero), zero_recorder_);
    one_ = CreateTracedTransport(fabric_->transport(kOne), one_recorder_);
  }

  void BeginStep(int64_t step) {
    zero_recorder_.BeginStep(step);
    one_recorder_.BeginStep(step);
  }

  // A message of `bytes` from zero to one, expected with up to 100.
  void Exchange(const Tag& tag, int64_t bytes) {
    const std::vector<std::byte> payload(bytes);
    std::vector<std::byte> out(100);
    Received received;
    const auto receive = one_->Receive({kZero, tag, absl::MakeSpan(out), &received});
    const auto send = zero_->Send({kOne, tag, payload});
    ASSERT_TRUE(receive.ok() && send.ok());
    ASSERT_TRUE(one_->Wait(*receive, Soon()).ok());
    ASSERT_TRUE(zero_->Wait(*send, Soon()).ok());
  }

  ThreadRecorder zero_recorder_{"worker/0", "exchange", {5, 6}, Keeps::kSpansAndMessages};
  ThreadRecorder one_recorder_{"worker/1", "exchange", {5, 6}, Keeps::kSpansAndMessages};
  std::unique_ptr<Transport> zero_, one_;
  std::unique_ptr<Fabric> fabric_;
};

TEST_F(TracedPair, BothEndsOfAMessageHaveItsNameItsBytesAndTimesInOrder) {
  BeginStep(5);
  Exchange(TagOf(MessageKind::kPush, 5, 3), 60);
  const ThreadTrace zero = zero_recorder_.Trace();
  const ThreadTrace one = one_recorder_.Trace();
  ASSERT_EQ(zero.sent_size(), 1);
  ASSERT_EQ(one.received_size(), 1);
  EXPECT_EQ(zero.received_size() + one.sent_size(), 0);
  EXPECT_EQ(zero.sent(0).peer(), "worker/1");
  EXPECT_EQ(one.received(0).peer(), "worker/0");
  for (const TraceMessage& end : {zero.sent(0), one.received(0)}) {
    EXPECT_EQ(end.kind(), "push");
    EXPECT_EQ(end.step(), 5);
    EXPECT_EQ(end.bucket(), 3);
    EXPECT_EQ(end.payload_bytes(), 60);
  }
  EXPECT_LT(zero.sent(0).time_ns(), one.received(0).time_ns());
}

TEST_F(TracedPair, OtherStepsDrainsAndMessagesToTheNodeItselfAreLeftOut) {
  BeginStep(4);
  Exchange(TagOf(MessageKind::kPush, 4), 8);
  BeginStep(5);
  Exchange(TagOf(MessageKind::kDrain, 5), 8);
  const Tag wake = TagOf(MessageKind::kWake, 1);
  const auto receive = zero_->Receive({kZero, wake, {}});
  const auto send = zero_->Send({kZero, wake, {}});
  ASSERT_TRUE(receive.ok() && send.ok());
  const OpId both[] = {*receive, *send};
  ASSERT_TRUE(zero_->WaitAny(both, Soon()).ok());
  BeginStep(6);
  Exchange(TagOf(MessageKind::kPush, 6), 8);
  for (const ThreadRecorder* recorder : {&zero_recorder_, &one_recorder_}) {
    EXPECT_EQ(recorder->Trace().sent_size() + recorder->Trace().received_size(), 0);
  }
}

TEST_F(TracedPair, TheLastMessagesAreKeptWhateverIsTraced) {
  BeginStep(4);
  Exchange(TagOf(MessageKind::kPush, 4, 2), 8);
  Exchange(TagOf(MessageKind::kDrain, 4), 4);
  const std::vector<KeptEvent> sent = zero_recorder_.last_events();
  const std::vector<KeptEvent> received = one_recorder_.last_events();
  ASSERT_EQ(sent.size(), 2u);
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(sent[0].kind, KeptEvent::Kind::kSent);
  EXPECT_EQ(received[0].kind, KeptEvent::Kind::kReceived);
  for (const KeptEvent& event : {sent[0], received[0]}) {
    EXPECT_EQ(event.message.end.tag.kind, MessageKind::kPush);
    EXPECT_EQ(event.message.end.tag.bucket, 2);
    EXPECT_EQ(event.message.end.step, 4);
    EXPECT_EQ(event.message.end.payload_bytes, 8);
  }
  EXPECT_EQ(sent[1].message.end.step, -1) << "what is drained belongs to no step";
}

TEST_F(TracedPair, AReceiveIsOfTheStepThatExpectedItAndAWaitThatFailsIsNone) {
  BeginStep(5);
  const Tag tag = TagOf(MessageKind::kWeights, 77);
  std::vector<std::byte> out(4);
  const auto receive = one_->Receive({kZero, tag, absl::MakeSpan(out)});
  ASSERT_TRUE(receive.ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(one_->Wait(*receive, MonotonicNow())));
  EXPECT_EQ(one_recorder_.Trace().received_size(), 0);
  BeginStep(6);
  const auto send = zero_->Send({kOne, tag, out});
  ASSERT_TRUE(send.ok() && zero_->Wait(*send, Soon()).ok());
  ASSERT_TRUE(one_->Wait(*receive, Soon()).ok());
  ASSERT_EQ(one_recorder_.Trace().received_size(), 1);
  EXPECT_EQ(one_recorder_.Trace().received(0).step(), 5);
}

// Lends whatever it is asked to, or sends it; says so when it is waited for. Allocates nothing.
class Lender : public Transport {
 public:
  explicit Lender(bool lends) : lends_(lends) {}
  NodeId self() const override { return kZero; }
  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    if (message.returned != nullptr) *message.returned = lends_;
    return ++ops_;
  }
  absl::StatusOr<OpId> Receive(const Incoming&) override { return ++ops_; }
  void Return(NodeId, const Tag&, const Loan&) override {}
  absl::Status Wait(OpId, MonotonicTime) override { return absl::OkStatus(); }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId>, MonotonicTime) override { return 0; }
  Activity activity(int64_t) override { return {}; }
  void Abort(const absl::Status&) override {}

 private:
  const bool lends_;
  OpId ops_ = 0;
};

TEST(TracedTransport, BorrowedMemoryIsAMessageEachWayAndOneWayWhereItWasSent) {
  for (const bool lends : {true, false}) {
    SCOPED_TRACE(lends);
    Lender lender(lends);
    ThreadRecorder recorder("worker/0", "exchange", {5, 6}, Keeps::kSpansAndMessages);
    const auto transport = CreateTracedTransport(lender, recorder);
    recorder.BeginStep(5);
    std::vector<std::byte> memory(32);
    bool returned = false;
    const auto op = transport->Send(
        {kOne, TagOf(MessageKind::kCollective, 5), absl::MakeSpan(memory), &returned});
    ASSERT_TRUE(op.ok() && transport->Wait(*op, Soon()).ok());
    transport->Return(kOne, TagOf(MessageKind::kCollective, 5), {absl::MakeSpan(memory), 1});
    const ThreadTrace trace = recorder.Trace();
    ASSERT_EQ(trace.sent_size(), 2);
    EXPECT_EQ(trace.sent(0).kind(), "collective");
    EXPECT_EQ(trace.sent(1).kind(), "returned");
    ASSERT_EQ(trace.received_size(), lends ? 1 : 0);
    if (lends) {
      EXPECT_EQ(trace.received(0).kind(), "returned");
    }
  }
}

TEST(TracedTransport, MemoryThatIsOnlyReadIsAMessageOneWay) {
  Lender lender(true);
  ThreadRecorder recorder("worker/0", "exchange", {5, 6}, Keeps::kSpansAndMessages);
  const auto transport = CreateTracedTransport(lender, recorder);
  recorder.BeginStep(5);
  std::vector<std::byte> memory(32);
  Received received;
  Loan loan;
  const auto op = transport->Receive(
      {kOne, TagOf(MessageKind::kPush, 5), absl::MakeSpan(memory), &received, &loan});
  ASSERT_TRUE(op.ok());
  received.bytes = 20;
  ASSERT_TRUE(transport->Wait(*op, Soon()).ok());
  transport->Return(kOne, TagOf(MessageKind::kPush, 5),
                    {absl::MakeSpan(memory), 1, /*read_only=*/true});
  const ThreadTrace trace = recorder.Trace();
  EXPECT_EQ(trace.sent_size(), 0);
  ASSERT_EQ(trace.received_size(), 1);
  EXPECT_EQ(trace.received(0).kind(), "push");
  EXPECT_EQ(trace.received(0).payload_bytes(), 20);
}

TEST(TracedTransport, RecordingAllocatesNothing) {
  Lender lender(true);
  ThreadRecorder recorder("worker/0", "exchange", {0, 100}, Keeps::kSpansAndMessages);
  const auto transport = CreateTracedTransport(lender, recorder);
  std::vector<std::byte> memory(32);
  std::vector<OpId> ops(64);
  const int64_t before = ThreadAllocations();
  for (int64_t step = 0; step < 100; ++step) {
    recorder.BeginStep(step);
    for (OpId& op : ops) {
      op = *transport->Receive(
          {kOne, TagOf(MessageKind::kCollective, step), absl::MakeSpan(memory)});
    }
    for (const OpId op : ops) ASSERT_TRUE(transport->Wait(op, Soon()).ok());
    for (size_t i = 0; i < ops.size(); ++i) {
      ASSERT_TRUE(transport->Send({kOne, TagOf(MessageKind::kCollective, step), memory}).ok());
    }
  }
  EXPECT_EQ(ThreadAllocations(), before);
  EXPECT_EQ(recorder.Trace().received_size(), 6400);
  EXPECT_EQ(recorder.Trace().sent_size(), 6400);
}

}  // namespace
}  // namespace ringmaster
