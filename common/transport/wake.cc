#include "common/transport/wake.h"

#include "common/base/monotonic.h"
#include "common/base/status_macros.h"

namespace ringmaster {

Tag Wake::TagOf(int64_t number) const {
  Tag tag;
  tag.kind = MessageKind::kWake;
  tag.bucket = stream_;
  tag.step = number;
  return tag;
}

absl::StatusOr<OpId> Wake::Arm() {
  if (armed_ == 0) {
    RM_ASSIGN_OR_RETURN(armed_, transport_.Receive({transport_.self(), TagOf(next_to_await_), {}}));
    ++next_to_await_;
  }
  return armed_;
}

void Wake::Consumed() {
  armed_ = 0;
  signalled_.store(false);
}

void Wake::Signal() {
  if (signalled_.exchange(true)) return;
  const absl::StatusOr<OpId> op = transport_.Send({transport_.self(), TagOf(next_to_send_++), {}});
  // A message to oneself is brought by the sender: it is done.
  if (op.ok()) transport_.Wait(*op, MonotonicTime::InfiniteFuture()).IgnoreError();
}

}  // namespace ringmaster
