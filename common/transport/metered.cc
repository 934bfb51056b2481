#include "common/transport/metered.h"

#include <utility>
#include <vector>

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
      : transport_(transport), fabric_(fabric), is_local_(std::move(is_local)) {}

  NodeId self() const override { return transport_.self(); }

  absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) override {
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.StartSend(to, tag, payload));
    if (Counts(to)) {
      absl::MutexLock lock(&mutex_);
      Count(traffic_.sent[tag.kind], payload.size());
    }
    return op;
  }

  absl::StatusOr<OpId> Post(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode) override {
    if (!Counts(from)) return transport_.Post(from, tag, out, mode);
    absl::MutexLock lock(&mutex_);
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.Post(from, tag, out, mode));
    receives_[op] = {tag.kind, static_cast<int64_t>(out.size()), nullptr, nullptr};
    return op;
  }

  absl::StatusOr<OpId> PostUpTo(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received) override {
    if (!Counts(from)) return transport_.PostUpTo(from, tag, out, received);
    absl::MutexLock lock(&mutex_);
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.PostUpTo(from, tag, out, received));
    receives_[op] = {tag.kind, 0, received, nullptr};
    return op;
  }

  absl::StatusOr<OpId> StartLoan(NodeId to, Tag tag, absl::Span<std::byte> memory, bool* returned) override {
    if (!Counts(to)) return transport_.StartLoan(to, tag, memory, returned);
    absl::MutexLock lock(&mutex_);
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.StartLoan(to, tag, memory, returned));
    Count(traffic_.sent[tag.kind], memory.size());
    receives_[op] = {tag.kind, static_cast<int64_t>(memory.size()), nullptr, returned};
    return op;
  }

  absl::StatusOr<OpId> PostLoan(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode,
                                Loan* loan) override {
    if (!Counts(from)) return transport_.PostLoan(from, tag, out, mode, loan);
    absl::MutexLock lock(&mutex_);
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.PostLoan(from, tag, out, mode, loan));
    receives_[op] = {tag.kind, static_cast<int64_t>(out.size()), nullptr, nullptr};
    return op;
  }

  absl::StatusOr<OpId> PostToRead(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received,
                                  Loan* loan) override {
    if (!Counts(from)) return transport_.PostToRead(from, tag, out, received, loan);
    absl::MutexLock lock(&mutex_);
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.PostToRead(from, tag, out, received, loan));
    receives_[op] = {tag.kind, 0, received, nullptr};
    return op;
  }

  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    transport_.Return(from, tag, loan);
    if (!Counts(from) || loan.read_only) return;
    absl::MutexLock lock(&mutex_);
    Count(traffic_.sent[tag.kind], loan.memory.size());
  }

  absl::Status Wait(OpId op, MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(transport_.Wait(op, deadline));
    CountReceive(op);
    return absl::OkStatus();
  }

  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    RM_ASSIGN_OR_RETURN(const int index, transport_.WaitAny(ops, deadline));
    CountReceive(ops[index]);
    return index;
  }

  void Abort(const absl::Status& why) override { transport_.Abort(why); }

  Traffic traffic() const override {
    absl::MutexLock lock(&mutex_);
    return traffic_;
  }

 private:
  struct Receive {
    MessageKind kind;
    int64_t bytes;
    const Received* received;  // set by PostUpTo and PostToRead: the size, known once the wait succeeded
    const bool* returned;      // set by StartLoan: whether anything came back
  };

  // A message of the node to itself wakes a thread and is no traffic.
  bool Counts(NodeId peer) const { return peer != self() && !is_local_(peer); }

  void Count(TrafficCount& count, int64_t payload_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++count.messages;
    count.payload_bytes += payload_bytes;
    count.header_bytes += fabric_.HeaderBytes(payload_bytes);
  }

  void CountReceive(OpId op) {
    absl::MutexLock lock(&mutex_);
    auto found = receives_.find(op);
    if (found == receives_.end()) return;  // a send, or of a co-located peer
    const Receive& receive = found->second;
    if (receive.returned == nullptr || *receive.returned) {
      Count(traffic_.received[receive.kind], receive.received != nullptr ? receive.received->bytes : receive.bytes);
    }
    receives_.erase(found);
  }

  Transport& transport_;
  const Fabric& fabric_;
  const std::function<bool(NodeId)> is_local_;

  mutable absl::Mutex mutex_;
  Traffic traffic_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<OpId, Receive> receives_ ABSL_GUARDED_BY(mutex_);  // of other places, not yet waited for
};

}  // namespace

std::unique_ptr<MeteredTransport> CreateMeteredTransport(Transport& transport, const Fabric& fabric,
                                                         std::function<bool(NodeId)> is_local) {
  return std::make_unique<Metered>(transport, fabric, std::move(is_local));
}

}  // namespace ringmaster
