// Whatever stands on ForwardingTransport hands on every call, and every field of it.
#include "common/transport/forwarding.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/monotonic.h"
#include "common/trace/thread_recorder.h"
#include "common/transport/fabric.h"
#include "common/transport/metered.h"
#include "common/transport/shaped/shaped_transport.h"
#include "common/transport/traced.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr NodeId kSelf{Role::kWorker, 0};
constexpr NodeId kPeer{Role::kWorker, 1};

// Writes down what it is asked.
class Clerk : public Transport {
 public:
  NodeId self() const override { return kSelf; }
  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    Note("send to ", ToString(message.to), " of ", ToString(message.tag), " at ",
         Place(message.payload.data()), " size ", message.payload.size(), " returned ",
         Place(message.returned));
    return 11;
  }
  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    Note("receive from ", ToString(message.from), " of ", ToString(message.tag), " at ",
         Place(message.out.data()), " size ", message.out.size(), " mode ",
         static_cast<int>(message.mode), " received ", Place(message.received), " loan ",
         Place(message.loan));
    return 12;
  }
  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    Note("return to ", ToString(from), " of ", ToString(tag), " handle ", loan.handle,
         " read_only ", loan.read_only);
  }
  absl::Status Wait(OpId op, MonotonicTime deadline) override {
    return WaitAny({op}, deadline).status();
  }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    Note("wait for ", absl::StrJoin(ops, " or "),
         deadline == MonotonicTime::InfiniteFuture() ? " for ever" : "");
    return static_cast<int>(ops.size()) - 1;
  }
  Activity activity(int64_t moved_before) override {
    Note("activity since ", moved_before);
    return {7, {{kPeer, {}, true}}};
  }
  void Abort(const absl::Status& why) override { Note("abort with ", why.message()); }

  // What was noted since the last call.
  std::vector<std::string> Take() { return std::exchange(notes_, {}); }

 private:
  template <typename... Words>
  void Note(const Words&... words) {
    notes_.push_back(absl::StrCat(words...));
  }
  static std::string Place(const void* place) {
    return absl::StrCat(absl::Hex(reinterpret_cast<uintptr_t>(place)));
  }

  std::vector<std::string> notes_;
};

// Calls everything, and returns what came back.
std::vector<std::string> CallAll(Transport& transport) {
  static std::vector<std::byte> memory(16);
  static bool returned;
  static Received received;
  static Loan loan;
  const absl::Span<std::byte> bytes = absl::MakeSpan(memory);
  const Tag tag{MessageKind::kPush, 1, 2, 3};
  std::vector<OpId> ops;
  for (const Outgoing& message :
       {Outgoing(kPeer, tag, bytes), Outgoing(kPeer, tag, bytes, &returned)}) {
    ops.push_back(*transport.Send(message));
  }
  for (const Incoming& message :
       {Incoming(kPeer, tag, bytes, ReceiveMode::kAddFloat16),
        Incoming(kPeer, tag, bytes, ReceiveMode::kAddFloat32, &loan),
        Incoming(kPeer, tag, bytes, &received), Incoming(kPeer, tag, bytes, &received, &loan)}) {
    ops.push_back(*transport.Receive(message));
  }
  transport.Return(kPeer, tag, {bytes, 5, false});
  transport.Return(kPeer, tag, {bytes, 6, true});
  std::vector<std::string> back = {ToString(transport.self()),
                                   absl::StrCat(ops.front(), " ", ops.back())};
  back.push_back(transport.Wait(ops[0], MonotonicTime::InfiniteFuture()).ToString());
  back.push_back(
      absl::StrCat(*transport.WaitAny({ops.front(), ops.back()}, MonotonicTime::InfiniteFuture())));
  const Activity activity = transport.activity(4);
  back.push_back(absl::StrCat(activity.moved, " ", activity.awaited.size()));
  transport.Abort(absl::CancelledError("the end"));
  return back;
}

// A network that nothing crosses.
class NoNetwork : public NetworkEntrance {
  bool Crosses(NodeId) const override { return false; }
  absl::Status Start(const FlowNetwork::Message&, Nanoseconds) override {
    return absl::InternalError("none crosses");
  }
};

TEST(ForwardingTransport, AndAllThatStandOnItHandOnEveryCallWithEveryField) {
  Clerk clerk;
  const std::vector<std::string> returned = CallAll(clerk);
  const std::vector<std::string> noted = clerk.Take();
  ASSERT_EQ(noted.size(), 12u);

  FabricOptions options;
  options.name = "inproc";
  const auto fabric = *CreateFabric(options);
  ThreadRecorder recorder("worker/0", "exchange", {0, 1}, ThreadRecorder::Keeps::kSpansAndMessages);
  recorder.BeginStep(0);
  NoNetwork network;
  ForwardingTransport forwarding(clerk);
  const auto metered = CreateMeteredTransport(clerk, *fabric, [](NodeId) { return false; });
  const auto traced = CreateTracedTransport(clerk, recorder);
  ShapedTransport shaped(clerk, network);
  for (Transport* const transport :
       {static_cast<Transport*>(&forwarding), static_cast<Transport*>(metered.get()), traced.get(),
        static_cast<Transport*>(&shaped)}) {
    EXPECT_EQ(CallAll(*transport), returned);
    EXPECT_EQ(clerk.Take(), noted);
  }
}

TEST(WithoutLoan, OnlyTheLoanIsGoneAndItsPlaceCleared) {
  std::vector<std::byte> memory(16);
  const Tag tag{MessageKind::kPush, 1, 2, 3};
  bool returned = true;
  const Outgoing sent = Outgoing(kPeer, tag, absl::MakeSpan(memory), &returned).WithoutLoan();
  EXPECT_EQ(sent.returned, nullptr);
  EXPECT_FALSE(returned);
  EXPECT_TRUE(sent.to == kPeer && sent.tag == tag && sent.payload.data() == memory.data() &&
              sent.payload.size() == 16);

  Loan loan{absl::MakeSpan(memory), 3, true};
  const Incoming exact =
      Incoming(kPeer, tag, absl::MakeSpan(memory), ReceiveMode::kAddFloat32, &loan).WithoutLoan();
  EXPECT_TRUE(exact.loan == nullptr && exact.received == nullptr &&
              exact.mode == ReceiveMode::kAddFloat32);
  EXPECT_TRUE(loan.memory.empty());

  Received received;
  const Incoming to_read(kPeer, tag, absl::MakeSpan(memory), &received, &loan);
  EXPECT_TRUE(to_read.only_reads());
  const Incoming up_to = to_read.WithoutLoan();
  EXPECT_TRUE(up_to.loan == nullptr && up_to.received == &received &&
              up_to.mode == ReceiveMode::kStore);
  EXPECT_TRUE(up_to.from == kPeer && up_to.tag == tag && up_to.out.data() == memory.data() &&
              up_to.out.size() == 16);
}

TEST(IncomingDeathTest, APlaceThatIsAskedForMustBeThere) {
  EXPECT_DEATH(Incoming(kPeer, Tag{}, {}, static_cast<Received*>(nullptr)), "received != nullptr");
}

}  // namespace
}  // namespace ringmaster
