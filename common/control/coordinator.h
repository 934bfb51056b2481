#ifndef RINGMASTER_COMMON_CONTROL_COORDINATOR_H_
#define RINGMASTER_COMMON_CONTROL_COORDINATOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/host_port.h"
#include "common/control/control_core.h"
#include "common/security/credentials.h"
#include "proto/record.pb.h"

namespace ringmaster {

struct CoordinatorOptions : ControlRules {
  JobCredentials credentials;
  // How long a connection may take until it has shaken hands, and a stream until it has proved the
  // token; and how long a connection without a stream stays.
  absl::Duration introduction_limit = absl::Seconds(10);
  HostPort listen_at = {"127.0.0.1", 0};  // by name or address; port 0: chosen by the system
  // Whether a process that has not joined is seen to get on with it. Asked again and again, by the
  // coordinator's own thread, where starting_limit is set. Absent: nobody can see that.
  std::function<bool(int32_t process)> is_starting;
};

// The one place all processes of a run are joined to: admits them, compares their starts, releases
// barriers, watches heartbeats, and spreads the first failure to everyone. What it decides is in
// ControlCore. Thread-safe.
class Coordinator {
 public:
  virtual ~Coordinator() = default;

  // Listens, by TLS where the credentials have an identity. Connections that say nothing, and
  // streams that do not prove the job's token, are ended after a while. A name that does not mean
  // an address of this machine yet is waited for, at most `join_limit`. Unavailable: the port is
  // busy, or the address is not this machine's; the text says who has the port, or which addresses
  // there are.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Start(const CoordinatorOptions& options);

  // Where processes of this machine connect: numeric, never a wildcard.
  virtual HostPort endpoint() const = 0;

  // Process `index` was started on this machine as `pid`: should it be missing in the end, /proc
  // says more of it.
  virtual void NoteStarted(int32_t index, int64_t pid) = 0;

  // Ends the run for everyone with `why`, unless it has failed before.
  virtual void Abort(const absl::Status& why) = 0;

  // Process number `process`, called `name`, has ended as `how` says ("signal 9 (Killed)"): unless
  // its work was done it is lost.
  virtual void NoteEnd(int32_t process, const std::string& name, const std::string& how) = 0;

  // Waits until the run is over, at most `limit`: true when it is, so that a caller may show
  // progress in between.
  virtual bool WaitFor(absl::Duration limit) = 0;

  // After WaitFor returned true: the reports of all processes that were not lost, by index, or the
  // run's first failure.
  virtual absl::StatusOr<std::vector<ProcessReport>> Result() = 0;

  // After WaitFor returned true: how the run ended for each process, by index. Where it failed,
  // waits for the last words of those who are there, at most `limit`; others have what they last
  // reported. None where the run has not failed, or failed before all had joined.
  virtual std::vector<LastWords> AwaitLastWords(absl::Duration limit) = 0;

  // The processes that were lost so far in the run, which went on (ControlCore). Any thread.
  virtual std::vector<Loss> Losses() = 0;

  // What has ended the run, where that was a loss that all are to be started again after; absent:
  // it has not ended, or ended otherwise. Any thread.
  virtual std::optional<EndingLoss> EndedByLoss() = 0;

  // When all had joined, and when all began. Any thread.
  virtual RunMoments Moments() = 0;

  // How far every process is at this moment, by index. Any thread.
  virtual std::vector<ProcessState> Processes() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_COORDINATOR_H_
