#include "common/transport/traced.h"

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/forwarding.h"

namespace ringmaster {
namespace {

constexpr char kReturned[] = "returned";

// Receives that are posted and not yet waited for, for whose bookkeeping there is memory from the
// beginning.
constexpr int64_t kExpectedReserved = 4096;

class Traced : public ForwardingTransport {
 public:
  Traced(Transport& transport, ThreadRecorder& recorder)
      : ForwardingTransport(transport), recorder_(recorder) {
    absl::MutexLock lock(&mutex_);
    expected_.reserve(kExpectedReserved);
  }

  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    if (!Records(message.to, message.tag)) return below_.Send(message);
    const Clock::time_point time = Clock::now();  // the peer may have it before the call returns
    RM_ASSIGN_OR_RETURN(const OpId op, below_.Send(message));
    MessageEnd end = EndOf(message.to, message.tag, message.payload.size());
    recorder_.AddSent(end, time);
    if (message.returned == nullptr) return op;
    end.kind = kReturned;
    Expect(op, {end, nullptr, message.returned});
    return op;
  }

  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    RM_ASSIGN_OR_RETURN(const OpId op, below_.Receive(message));
    if (!Records(message.from, message.tag)) return op;
    Expect(op, {EndOf(message.from, message.tag, message.out.size()), message.received, nullptr});
    return op;
  }

  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    if (Records(from, tag) && !loan.read_only) {
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
  // What is recorded as received once its wait succeeds.
  struct Expected {
    MessageEnd end;
    const Received* received = nullptr;  // set: the size, known once the wait succeeded
    const bool* returned = nullptr;      // set for memory that was lent: whether anything came back
  };

  // The peer first: of messages to the node itself other threads may know, which the recorder is
  // not for.
  bool Records(NodeId peer, const Tag& tag) const {
    return peer != self() && recorder_.step() >= 0 && tag.kind != MessageKind::kDrain;
  }

  MessageEnd EndOf(NodeId peer, const Tag& tag, int64_t payload_bytes) const {
    return {peer, tag, recorder_.step(), payload_bytes};
  }

  void Expect(OpId op, const Expected& expected) {
    absl::MutexLock lock(&mutex_);
    expected_[op] = expected;
    expected_count_.store(static_cast<int64_t>(expected_.size()), std::memory_order_relaxed);
  }

  void Arrived(OpId op) {
    // No step is traced, most of the time.
    if (expected_count_.load(std::memory_order_relaxed) == 0) return;
    const Clock::time_point time = Clock::now();
    absl::MutexLock lock(&mutex_);
    const auto found = expected_.find(op);
    if (found == expected_.end()) return;
    Expected& expected = found->second;
    if (expected.received != nullptr) expected.end.payload_bytes = expected.received->bytes;
    if (expected.returned == nullptr || *expected.returned)
      recorder_.AddReceived(expected.end, time);
    expected_.erase(found);
    expected_count_.store(static_cast<int64_t>(expected_.size()), std::memory_order_relaxed);
  }

  ThreadRecorder& recorder_;
  std::atomic<int64_t> expected_count_{0};  // expected_.size(), for a look without the lock
  absl::Mutex mutex_;
  // begun in a traced step, not yet waited for
  absl::flat_hash_map<OpId, Expected> expected_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<Transport> CreateTracedTransport(Transport& transport, ThreadRecorder& recorder) {
  return std::make_unique<Traced>(transport, recorder);
}

}  // namespace ringmaster
