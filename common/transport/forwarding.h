#ifndef RINGMASTER_COMMON_TRANSPORT_FORWARDING_H_
#define RINGMASTER_COMMON_TRANSPORT_FORWARDING_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/transport.h"

namespace ringmaster {

// Hands every call on to another transport, loans included. Whatever counts, records, delays or
// breaks messages derives from it and overrides only what it changes. An operation has the same id
// here and underneath.
class ForwardingTransport : public Transport {
 public:
  // `below` outlives this object.
  explicit ForwardingTransport(Transport& below) : below_(below) {}

  NodeId self() const override { return below_.self(); }
  absl::StatusOr<OpId> Send(const Outgoing& message) override { return below_.Send(message); }
  absl::StatusOr<OpId> Receive(const Incoming& message) override { return below_.Receive(message); }
  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    below_.Return(from, tag, loan);
  }
  absl::Status Wait(OpId op, MonotonicTime deadline) override { return below_.Wait(op, deadline); }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    return below_.WaitAny(ops, deadline);
  }
  Activity activity(int64_t moved_before) override { return below_.activity(moved_before); }
  void Abort(const absl::Status& why) override { below_.Abort(why); }

 protected:
  Transport& below_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_FORWARDING_H_
