#ifndef RINGMASTER_COMMON_TRANSPORT_POLLING_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_POLLING_FABRIC_H_

#include <atomic>
#include <cstdint>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/fabric_base.h"
#include "common/transport/matcher.h"
#include "common/transport/poll_seat.h"

namespace ringmaster {

// A fabric whose waiting threads move the bytes themselves: one at a time looks after the
// connections until an operation of its own is done, and then calls another of those who wait. So a
// message costs no hand-over between threads where one thread of a process waits. When no thread
// has polled for a while (all compute), a helper thread does, and gives way to the first that
// waits.
class PollingFabric : public FabricBase, private Rouser {
 protected:
  // `spins`: waits look for a while before they nap.
  PollingFabric(const FabricOptions& options, bool spins);
  // Polling has stopped.
  ~PollingFabric() override;

  // Looking and napping are possible from here on, until StopPolling. `helper_name`: of the thread,
  // 15 letters at most.
  void StartPolling(const char* helper_name);
  // Ends the helper; nobody waits any more. To be called before what is polled goes. No effect
  // before StartPolling.
  void StopPolling();

  // Moves what can be moved without waiting, up to a bound that keeps the caller's own operations
  // from being late; whether there was any. One thread at a time.
  virtual bool Look() = 0;

  // Sleeps until there is something to move, for `limit` (more than 0, at most a minute) or until
  // roused; then calls `over` and moves what there is. The same thread as Look.
  virtual void Nap(absl::Duration limit, absl::FunctionRef<void()> over) = 0;

  // Ends the nap that is on, or the next one. Any thread; calls nothing of this class.
  void Rouse() override = 0;

  absl::StatusOr<int> WaitForAny(Matcher& matcher, absl::Span<const OpId> ops,
                                 MonotonicTime deadline) override;

 private:
  struct Term {
    // of the whole wait, in which the seat may be taken and left several times
    MonotonicTime begin;
    MonotonicTime deadline;
  };
  absl::StatusOr<int> Carry(Matcher& matcher, absl::Span<const OpId> ops, const Term& term,
                            uint64_t seen);
  absl::StatusOr<int> NapUnlessDone(Matcher& matcher, absl::Span<const OpId> ops,
                                    absl::Duration limit);
  absl::StatusOr<int> SleepWhileOthersPoll(Matcher& matcher, absl::Span<const OpId> ops,
                                           const Term& term);
  void RunHelper();
  bool PauseHelper();
  // Until the seat's holder, who had it when it had been taken `turns` times, leaves it.
  void RestHelper(uint64_t turns);
  void WakeHelper();

  const bool spins_;
  PollSeat seat_;
  // Who wants the seat counts itself and then looks whether the helper naps; the helper says that
  // it will and then looks at the count: one of the two sees the other.
  std::atomic<int32_t> wanting_{0};
  std::atomic<bool> helper_naps_{false};
  // The helper rests while one thread waits for long. It says so and then looks at the seat; who
  // leaves the seat looks afterwards whether the helper rests. Turned off with helper_mutex_ held.
  std::atomic<bool> helper_rests_{false};
  std::atomic<bool> stopping_{false};
  absl::Mutex helper_mutex_;       // held to turn stopping_ on
  MonotonicCondVar helper_stops_;  // signalled too when it is to rest no longer
  std::thread helper_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_POLLING_FABRIC_H_
