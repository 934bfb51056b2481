#include "common/transport/traced.h"

#include <atomic>
#include <vector>

#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/forwarding.h"

namespace ringmaster {
namespace {

constexpr char kReturned[] = "returned";

// Places for operations that are begun and not yet waited for. An operation's is its number modulo
// this, and a transport gives the numbers of fewer open operations in such a way that no two share
// a place.
constexpr OpId kPlaces = 4096;

class Traced : public ForwardingTransport {
 public:
  Traced(Transport& transport, ThreadRecorder& recorder)
      : ForwardingTransport(transport), recorder_(recorder), expected_(kPlaces) {}

  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    if (!Records(message.to)) return below_.Send(message);
    const Clock::time_point time = Clock::now();  // the peer may have it before the call returns
    RM_ASSIGN_OR_RETURN(const OpId op, below_.Send(message));
    MessageEnd end = EndOf(message.to, message.tag, message.payload.size());
    recorder_.AddSent(end, time);
    if (message.returned == nullptr) return op;
    end.kind = kReturned;
    Expect(op, end, nullptr, message.returned);
    return op;
  }

  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    RM_ASSIGN_OR_RETURN(const OpId op, below_.Receive(message));
    if (!Records(message.from)) return op;
    Expect(op, EndOf(message.from, message.tag, message.out.size()), message.received, nullptr);
    return op;
  }

  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    if (Records(from) && !loan.read_only) {
      MessageEnd end = EndOf(from, tag, loan.memory.size());
      end.kind = kReturned;
      recorder_.AddSent(end, Clock::now());
    }
    below_.Return(from, tag, loan);
  }

  absl::Status Wait(OpId op, MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(below_.Wait(op, deadline));
    Arrived(op);
    return absl::OkStatus();
  }

  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    RM_ASSIGN_OR_RETURN(const int index, below_.WaitAny(ops, deadline));
    Arrived(ops[index]);
    return index;
  }

 private:
  // What is recorded as received once its wait succeeds. Used by the recorder's thread; another one
  // that waits for a message to itself looks at `op` alone, which is then another's or none.
  struct Expected {
    std::atomic<OpId> op{-1};  // -1: none
    MessageEnd end;
    const Received* received = nullptr;  // set: the size, known once the wait succeeded
    const bool* returned = nullptr;      // set for memory that was lent: whether anything came back
  };

  // Of messages to the node itself other threads may know, which the recorder is not for.
  bool Records(NodeId peer) const { return peer != self(); }

  // What is drained belongs to no step.
  MessageEnd EndOf(NodeId peer, const Tag& tag, int64_t payload_bytes) const {
    const bool drains = tag.kind == MessageKind::kDrain;
    return {peer, tag, drains ? -1 : recorder_.step(), payload_bytes};
  }

  static size_t PlaceOf(OpId op) { return static_cast<size_t>(op) % kPlaces; }

  void Expect(OpId op, const MessageEnd& end, const Received* received, const bool* returned) {
    Expected& expected = expected_[PlaceOf(op)];
    expected.end = end;
    expected.received = received;
    expected.returned = returned;
    expected.op.store(op, std::memory_order_relaxed);
  }

  void Arrived(OpId op) {
    Expected& expected = expected_[PlaceOf(op)];
    // A send, or a message of the node to itself.
    if (expected.op.load(std::memory_order_relaxed) != op) return;
    expected.op.store(-1, std::memory_order_relaxed);
    if (expected.received != nullptr) expected.end.payload_bytes = expected.received->bytes;
    if (expected.returned == nullptr || *expected.returned)
      recorder_.AddReceived(expected.end, Clock::now());
  }

  ThreadRecorder& recorder_;
  std::vector<Expected> expected_;  // by place
};

}  // namespace

std::unique_ptr<Transport> CreateTracedTransport(Transport& transport, ThreadRecorder& recorder) {
  return std::make_unique<Traced>(transport, recorder);
}

}  // namespace ringmaster
