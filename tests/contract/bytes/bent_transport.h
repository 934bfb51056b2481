#ifndef RINGMASTER_TESTS_CONTRACT_BYTES_BENT_TRANSPORT_H_
#define RINGMASTER_TESTS_CONTRACT_BYTES_BENT_TRANSPORT_H_

#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/transport/transport.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {

// Sends one segment of `extra_bytes` more, which nobody asked for, after the first message with a payload.
class SendsOneSegmentMore : public Transport {
 public:
  SendsOneSegmentMore(Transport& inner, int64_t extra_bytes) : inner_(inner), extra_(extra_bytes) {}

  NodeId self() const override { return inner_.self(); }
  absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) override {
    if (!sent_ && !payload.empty()) {
      sent_ = true;
      RM_ASSIGN_OR_RETURN(const OpId op, inner_.StartSend(to, {MessageKind::kTest, 0, 0, 0}, extra_));
      RM_RETURN_IF_ERROR(inner_.Wait(op, absl::Now() + absl::Seconds(60)));
    }
    return inner_.StartSend(to, tag, payload);
  }
  absl::StatusOr<OpId> Post(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode) override {
    return inner_.Post(from, tag, out, mode);
  }
  absl::StatusOr<OpId> PostUpTo(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received) override {
    return inner_.PostUpTo(from, tag, out, received);
  }
  absl::Status Wait(OpId op, absl::Time deadline) override { return inner_.Wait(op, deadline); }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, absl::Time deadline) override {
    return inner_.WaitAny(ops, deadline);
  }
  void Abort(const absl::Status& why) override { inner_.Abort(why); }

 private:
  Transport& inner_;
  const std::vector<std::byte> extra_;
  bool sent_ = false;  // the exchange thread's, which alone sends
};

inline TransportWrap OneSegmentMore(int64_t extra_bytes) {
  return [extra_bytes](Transport& inner) { return std::make_unique<SendsOneSegmentMore>(inner, extra_bytes); };
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_BYTES_BENT_TRANSPORT_H_
