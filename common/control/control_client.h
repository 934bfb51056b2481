#ifndef RINGMASTER_COMMON_CONTROL_CONTROL_CLIENT_H_
#define RINGMASTER_COMMON_CONTROL_CONTROL_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/control/dealing.h"
#include "common/control/end_request.h"
#include "common/security/credentials.h"
#include "proto/control.pb.h"
#include "proto/record.pb.h"

namespace ringmaster {

// A process's line to the coordinator. Thread-safe.
class ControlClient {
 public:
  virtual ~ControlClient() = default;

  // Looks for the coordinator until `deadline`, by name or address, and joins; returns once every
  // process has, or the coordinator gives up waiting for them. Where the join's data endpoint is a
  // wildcard, peers are told the address that this process has towards the coordinator. Both prove
  // the job's token to each other (joins.h), by TLS where `credentials` have an identity.
  // PermissionDenied: another job's token, or either end refuses the other's certificate; at once,
  // and the text says why. AlreadyExists: the rank is taken. DeadlineExceeded: no
  // coordinator answers at `endpoint`; the text says what was found instead. `on_abort` is called
  // once, from the client's own thread, when the run has failed or the coordinator is gone;
  // `heartbeat` is asked every `heartbeat_period`. Where `ends` (it must outlive the client) asks
  // for it, from this call on, the run is failed with its reason. `last_words` is asked once when
  // the run has failed, after on_abort, by the thread that called Fail or by the client's own; what
  // it returns within the limits of common/control/last_words.h is told to the coordinator. Absent:
  // this process has nothing to say. `on_loss` is called, by the client's own thread, with each
  // message that another process is lost and the run goes on: after Regroup every wait of this
  // client ends with why, until AwaitFormation. Absent: nobody asks.
  static absl::StatusOr<std::unique_ptr<ControlClient>> Attend(
      const HostPort& endpoint, const JobCredentials& credentials, const Join& join,
      MonotonicTime deadline, std::function<void(const absl::Status&)> on_abort,
      std::function<Heartbeat()> heartbeat, absl::Duration heartbeat_period,
      EndRequest* ends = nullptr, std::function<LastWords()> last_words = nullptr,
      std::function<void(const ToProcess& message)> on_loss = nullptr);

  // Who takes part, by process index, in the formation that this process was last welcomed to.
  // Stays until AwaitFormation.
  virtual const Welcome& welcome() const = 0;

  // The number of the formation that this process is in, or is to get ready for.
  virtual int32_t epoch() = 0;
  // Says that this process is ready for a new formation, `ready.epoch`, and waits until all are.
  // True: welcome() is that one's. False: another process is lost meanwhile, and it is to get ready
  // anew. The run's failure ends the wait.
  virtual absl::StatusOr<bool> AwaitFormation(const Ready& ready) = 0;

  // Arrives at a barrier for the whole process and waits until it is released or the run fails.
  virtual absl::Status Barrier(absl::string_view name) = 0;

  // Where work is claimed: asks for up to `count` lots for worker `rank`, which lives here, without
  // waiting. A worker has one question at a time.
  virtual void AskForLots(int32_t rank, int32_t count) = 0;
  // The answer; waits for it. The run's failure ends the wait.
  virtual absl::StatusOr<LotClaim> AwaitLots(int32_t rank) = 0;
  // The worker wants no more lots: every wait for them ends, now and later, as if none were left.
  virtual void ForgetLots(int32_t rank) = 0;

  // Where lots of a lost worker are dealt again: says that the first `count` of those that worker
  // `rank` was dealt are settled (ClaimDealer), without waiting.
  virtual void SettleLots(int32_t rank, int64_t count) = 0;

  // The workers that were lost when the last barrier was released, in ascending order: the same in
  // all processes that have passed it and have come to no other.
  virtual std::vector<int32_t> LostWorkers() = 0;

  // Reports this process's failure: the coordinator ends the run for everyone.
  virtual void Fail(const absl::Status& why) = 0;

  // Sends the result and waits until all processes have sent theirs, the run fails or its group is
  // formed anew.
  virtual absl::Status Finish(const ProcessReport& report) = 0;

  // The run's failure; why the group is formed anew, as long as this process is in none; or OK.
  virtual absl::Status status() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_CONTROL_CLIENT_H_
