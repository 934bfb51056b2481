#include "common/transport/metered.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

class Metered : public MeteredTransport {
 public:
  Metered(Transport& transport, const Fabric& fabric, std::function<bool(NodeId)> is_local)
      : MeteredTransport(transport), fabric_(fabric), is_local_(std::move(is_local)) {}

  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    RM_ASSIGN_OR_RETURN(const OpId op, below_.Send(message));
    if (!Counts(message.to)) return op;
    const MessageKind kind = message.tag.kind;
    const auto bytes = static_cast<int64_t>(message.payload.size());
    absl::MutexLock lock(&mutex_);
    CountSent(message.to, kind, bytes);
    if (message.returned != nullptr)
      expected_[op] = {message.to, kind, bytes, nullptr, message.returned};
    return op;
  }

  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    RM_ASSIGN_OR_RETURN(const OpId op, below_.Receive(message));
    if (!Counts(message.from)) return op;
    absl::MutexLock lock(&mutex_);
    expected_[op] = {message.from, message.tag.kind, static_cast<int64_t>(message.out.size()),
                     message.received, nullptr};
    return op;
  }

  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    below_.Return(from, tag, loan);
    if (!Counts(from) || loan.read_only) return;
    absl::MutexLock lock(&mutex_);
    CountSent(from, tag.kind, static_cast<int64_t>(loan.memory.size()));
  }

  absl::Status Wait(OpId op, MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(below_.Wait(op, deadline));
    CountReceive(op);
    return absl::OkStatus();
  }

  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    RM_ASSIGN_OR_RETURN(const int index, below_.WaitAny(ops, deadline));
    CountReceive(ops[index]);
    return index;
  }

  Traffic traffic() const override {
    absl::MutexLock lock(&mutex_);
    return traffic_;
  }

 private:
  // What counts as received once its wait succeeds.
  struct Expected {
    NodeId peer;
    MessageKind kind;
    int64_t bytes;
    const Received* received;  // set: the size, known once the wait succeeded
    const bool* returned;      // set for memory that was lent: whether anything came back
  };

  // A message of the node to itself wakes a thread and is no traffic.
  bool Counts(NodeId peer) const { return peer != self() && !is_local_(peer); }

  void CountSent(NodeId peer, MessageKind kind, int64_t payload_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Count(peer, payload_bytes, &traffic_.sent[kind]);
    WireOf(peer).sent_bytes[kind] += payload_bytes;
  }

  void Count(NodeId peer, int64_t payload_bytes, TrafficCount* count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++count->messages;
    count->payload_bytes += payload_bytes;
    count->header_bytes += fabric_.HeaderBytes(peer, payload_bytes);
  }

  Traffic::Payload& WireOf(NodeId peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Traffic::Payload*& wire = wire_of_[peer];
    if (wire == nullptr) wire = &traffic_.by_wire[fabric_.WireTo(peer)];
    return *wire;
  }

  void CountReceive(OpId op) {
    absl::MutexLock lock(&mutex_);
    auto found = expected_.find(op);
    if (found == expected_.end()) return;  // a send, or of a co-located peer
    const Expected& expected = found->second;
    if (expected.returned == nullptr || *expected.returned) {
      const int64_t bytes =
          expected.received != nullptr ? expected.received->bytes : expected.bytes;
      Count(expected.peer, bytes, &traffic_.received[expected.kind]);
      WireOf(expected.peer).received_bytes[expected.kind] += bytes;
    }
    expected_.erase(found);
  }

  const Fabric& fabric_;
  const std::function<bool(NodeId)> is_local_;

  mutable absl::Mutex mutex_;
  Traffic traffic_ ABSL_GUARDED_BY(mutex_);
  // of traffic_, whose entries stay where they are
  absl::flat_hash_map<NodeId, Traffic::Payload*> wire_of_ ABSL_GUARDED_BY(mutex_);
  // of other places, not yet waited for
  absl::flat_hash_map<OpId, Expected> expected_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<MeteredTransport> CreateMeteredTransport(Transport& transport, const Fabric& fabric,
                                                         std::function<bool(NodeId)> is_local) {
  return std::make_unique<Metered>(transport, fabric, std::move(is_local));
}

}  // namespace ringmaster
