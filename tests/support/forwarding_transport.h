#ifndef RINGMASTER_TESTS_SUPPORT_FORWARDING_TRANSPORT_H_
#define RINGMASTER_TESTS_SUPPORT_FORWARDING_TRANSPORT_H_

#include "common/base/monotonic.h"
#include "common/transport/transport.h"

namespace ringmaster {

// Hands every call on to another transport: the base of those that listen or break something. Nothing is lent, so every
// byte passes through StartSend.
class ForwardingTransport : public Transport {
 public:
  // `real` outlives this object.
  explicit ForwardingTransport(Transport& real) : real_(real) {}

  NodeId self() const override { return real_.self(); }
  absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) override {
    return real_.StartSend(to, tag, payload);
  }
  absl::StatusOr<OpId> Post(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode) override {
    return real_.Post(from, tag, out, mode);
  }
  absl::StatusOr<OpId> PostUpTo(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received) override {
    return real_.PostUpTo(from, tag, out, received);
  }
  absl::Status Wait(OpId op, MonotonicTime deadline) override { return real_.Wait(op, deadline); }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    return real_.WaitAny(ops, deadline);
  }
  void Abort(const absl::Status& why) override { real_.Abort(why); }

 protected:
  Transport& real_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_FORWARDING_TRANSPORT_H_
