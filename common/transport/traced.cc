#include "common/transport/traced.h"

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr char kReturned[] = "returned";

// Receives that are posted and not yet waited for, for whose bookkeeping there is memory from the beginning.
constexpr int64_t kReceivesReserved = 4096;

class Traced : public Transport {
 public:
  Traced(Transport& transport, ThreadRecorder& recorder) : transport_(transport), recorder_(recorder) {
    absl::MutexLock lock(&mutex_);
    receives_.reserve(kReceivesReserved);
  }

  NodeId self() const override { return transport_.self(); }

  absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) override {
    if (!Records(to, tag)) return transport_.StartSend(to, tag, payload);
    const Clock::time_point time = Clock::now();  // the peer may have it before the call returns
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.StartSend(to, tag, payload));
    recorder_.AddSent(MessageOf(to, tag, payload.size()), time);
    return op;
  }

  absl::StatusOr<OpId> Post(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode) override {
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.Post(from, tag, out, mode));
    if (Records(from, tag)) Expect(op, {MessageOf(from, tag, out.size()), nullptr, nullptr});
    return op;
  }

  absl::StatusOr<OpId> PostUpTo(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received) override {
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.PostUpTo(from, tag, out, received));
    if (Records(from, tag)) Expect(op, {MessageOf(from, tag, 0), received, nullptr});
    return op;
  }

  absl::StatusOr<OpId> StartLoan(NodeId to, Tag tag, absl::Span<std::byte> memory, bool* returned) override {
    if (!Records(to, tag)) return transport_.StartLoan(to, tag, memory, returned);
    const Clock::time_point time = Clock::now();
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.StartLoan(to, tag, memory, returned));
    MessageEnd message = MessageOf(to, tag, memory.size());
    recorder_.AddSent(message, time);
    message.kind = kReturned;
    Expect(op, {message, nullptr, returned});
    return op;
  }

  absl::StatusOr<OpId> PostLoan(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode,
                                Loan* loan) override {
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.PostLoan(from, tag, out, mode, loan));
    if (Records(from, tag)) Expect(op, {MessageOf(from, tag, out.size()), nullptr, nullptr});
    return op;
  }

  absl::StatusOr<OpId> PostToRead(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received,
                                  Loan* loan) override {
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.PostToRead(from, tag, out, received, loan));
    if (Records(from, tag)) Expect(op, {MessageOf(from, tag, 0), received, nullptr});
    return op;
  }

  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    if (Records(from, tag) && !loan.read_only) {
      MessageEnd message = MessageOf(from, tag, loan.memory.size());
      message.kind = kReturned;
      recorder_.AddSent(message, Clock::now());
    }
    transport_.Return(from, tag, loan);
  }

  absl::Status Wait(OpId op, MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(transport_.Wait(op, deadline));
    Arrived(op);
    return absl::OkStatus();
  }

  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    RM_ASSIGN_OR_RETURN(const int index, transport_.WaitAny(ops, deadline));
    Arrived(ops[index]);
    return index;
  }

  void Abort(const absl::Status& why) override { transport_.Abort(why); }

 private:
  struct Receive {
    MessageEnd message;
    const Received* received = nullptr;  // set by PostUpTo and PostToRead: the size, known once the wait succeeded
    const bool* returned = nullptr;      // set by StartLoan: whether anything came back
  };

  // The peer first: of messages to the node itself other threads may know, which the recorder is not for.
  bool Records(NodeId peer, const Tag& tag) const {
    return peer != self() && recorder_.step() >= 0 && tag.kind != MessageKind::kDrain;
  }

  MessageEnd MessageOf(NodeId peer, const Tag& tag, int64_t payload_bytes) const {
    return {peer, tag, recorder_.step(), payload_bytes};
  }

  void Expect(OpId op, const Receive& receive) {
    absl::MutexLock lock(&mutex_);
    receives_[op] = receive;
    expected_.store(static_cast<int64_t>(receives_.size()), std::memory_order_relaxed);
  }

  void Arrived(OpId op) {
    // No step is traced, most of the time.
    if (expected_.load(std::memory_order_relaxed) == 0) return;
    const Clock::time_point time = Clock::now();
    absl::MutexLock lock(&mutex_);
    const auto found = receives_.find(op);
    if (found == receives_.end()) return;
    Receive& receive = found->second;
    if (receive.received != nullptr) receive.message.payload_bytes = receive.received->bytes;
    if (receive.returned == nullptr || *receive.returned) recorder_.AddReceived(receive.message, time);
    receives_.erase(found);
    expected_.store(static_cast<int64_t>(receives_.size()), std::memory_order_relaxed);
  }

  Transport& transport_;
  ThreadRecorder& recorder_;
  std::atomic<int64_t> expected_{0};  // receives_.size(), for a look without the lock
  absl::Mutex mutex_;
  absl::flat_hash_map<OpId, Receive> receives_ ABSL_GUARDED_BY(mutex_);  // posted in a traced step, not yet waited for
};

}  // namespace

std::unique_ptr<Transport> CreateTracedTransport(Transport& transport, ThreadRecorder& recorder) {
  return std::make_unique<Traced>(transport, recorder);
}

}  // namespace ringmaster
