#ifndef RINGMASTER_COMMON_CONTROL_CONTROL_CLIENT_H_
#define RINGMASTER_COMMON_CONTROL_CONTROL_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/control/dealing.h"
#include "common/control/end_request.h"
#include "proto/control.pb.h"
#include "proto/record.pb.h"

namespace ringmaster {

// A process's line to the coordinator. Thread-safe.
class ControlClient {
 public:
  virtual ~ControlClient() = default;

  // Looks for the coordinator until `deadline`, by name or address, and joins; returns once every
  // process has, or the coordinator gives up waiting for them. Where the join's data endpoint is a
  // wildcard, peers are told the address that this process has towards the coordinator.
  // PermissionDenied: another job's token. AlreadyExists: the rank is taken. DeadlineExceeded: no
  // coordinator answers at `endpoint`; the text says what was found instead. `on_abort` is called
  // once, from the client's own thread, when the run has failed or the coordinator is gone;
  // `heartbeat` is asked every `heartbeat_period`. Where `ends` (it must outlive the client) asks
  // for it, from this call on, the run is failed with its reason. `last_words` is asked once when
  // the run has failed, after on_abort, by the thread that called Fail or by the client's own; what
  // it returns within the limits of common/control/last_words.h is told to the coordinator. Absent:
  // this process has nothing to say.
  static absl::StatusOr<std::unique_ptr<ControlClient>> Attend(
      const HostPort& endpoint, const Join& join, MonotonicTime deadline,
      std::function<void(const absl::Status&)> on_abort, std::function<Heartbeat()> heartbeat,
      absl::Duration heartbeat_period, EndRequest* ends = nullptr,
      std::function<LastWords()> last_words = nullptr);

  // Who takes part, by process index.
  virtual const Welcome& welcome() const = 0;

  // Arrives at a barrier for the whole process and waits until it is released or the run fails.
  virtual absl::Status Barrier(absl::string_view name) = 0;

  // Where work is claimed: asks for up to `count` lots for worker `rank`, which lives here, without
  // waiting. A worker has one question at a time.
  virtual void AskForLots(int32_t rank, int32_t count) = 0;
  // The answer; waits for it. The run's failure ends the wait.
  virtual absl::StatusOr<LotClaim> AwaitLots(int32_t rank) = 0;
  // The worker wants no more lots: every wait for them ends, now and later, as if none were left.
  virtual void ForgetLots(int32_t rank) = 0;

  // Reports this process's failure: the coordinator ends the run for everyone.
  virtual void Fail(const absl::Status& why) = 0;

  // Sends the result and waits until all processes have sent theirs or the run fails.
  virtual absl::Status Finish(const ProcessReport& report) = 0;

  // The run's failure, or OK.
  virtual absl::Status status() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_CONTROL_CLIENT_H_
