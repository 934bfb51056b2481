#ifndef RINGMASTER_COMMON_TRANSPORT_WAKE_H_
#define RINGMASTER_COMMON_TRANSPORT_WAKE_H_

#include <atomic>
#include <cstdint>

#include "absl/status/statusor.h"
#include "common/transport/transport.h"

namespace ringmaster {

// Ends one thread's sleep in WaitAny from another thread, on any transport: a message of the node
// to itself, without payload and without traffic. The waiting thread adds Arm's operation to those
// it waits for, and calls Consumed when that is the one that was done; a Signal that came before is
// found done, so none is lost. At most one message is under way, however many signals there are,
// and nothing is allocated after the first.
class Wake {
 public:
  // `stream` differs between the wakes of one node. `transport` outlives this object.
  Wake(Transport& transport, int32_t stream) : transport_(transport), stream_(stream) {}
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  // The waiting thread's. The operation to wait for: the same one until Consumed. Fails with the
  // abort's status.
  absl::StatusOr<OpId> Arm();

  // The waiting thread's: the wait for the operation has returned. What signallers did before is
  // visible afterwards.
  void Consumed();

  // Any thread. Never sleeps. After an abort nothing happens: nobody sleeps then.
  void Signal();

 private:
  Tag TagOf(int64_t number) const;

  Transport& transport_;
  const int32_t stream_;
  OpId armed_ = 0;             // the waiting thread's; 0: none
  int64_t next_to_await_ = 0;  // the waiting thread's
  std::atomic<bool> signalled_{false};
  int64_t next_to_send_ = 0;  // of who turned signalled_ on
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_WAKE_H_
