#ifndef RINGMASTER_TESTS_CONTRACT_BYTES_BENT_TRANSPORT_H_
#define RINGMASTER_TESTS_CONTRACT_BYTES_BENT_TRANSPORT_H_

#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/forwarding.h"
#include "tests/support/patience.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {

// Sends one segment of `extra_bytes` more, which nobody asked for, after the first message with a
// payload.
class SendsOneSegmentMore : public ForwardingTransport {
 public:
  SendsOneSegmentMore(Transport& real, int64_t extra_bytes)
      : ForwardingTransport(real), extra_(extra_bytes) {}

  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    if (!sent_ && !message.payload.empty()) {
      sent_ = true;
      RM_ASSIGN_OR_RETURN(const OpId op,
                          below_.Send({message.to, {MessageKind::kTest, 0, 0, 0}, extra_}));
      RM_RETURN_IF_ERROR(below_.Wait(op, MonotonicNow() + Patience(60)));
    }
    return below_.Send(message);
  }

 private:
  const std::vector<std::byte> extra_;
  bool sent_ = false;  // the exchange thread's, which alone sends
};

inline TransportWrap OneSegmentMore(int64_t extra_bytes) {
  return [extra_bytes](Transport& inner) {
    return std::make_unique<SendsOneSegmentMore>(inner, extra_bytes);
  };
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_BYTES_BENT_TRANSPORT_H_
