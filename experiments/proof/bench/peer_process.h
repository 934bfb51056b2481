#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_PEER_PROCESS_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_PEER_PROCESS_H_

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ringmaster {

// Another program that is measured beside this one and spoken to line by line. One thread. It gets
// no signals from the terminal and dies with this thread; the destructor closes its input, waits a
// moment, and kills it with its children.
class PeerProcess {
 public:
  // Starts arguments[0], found on the PATH, with `environment` ("NAME=value") set in addition. What
  // it writes to its standard error goes to this one's. Errors: no such program.
  static absl::StatusOr<std::unique_ptr<PeerProcess>> Start(
      const std::vector<std::string>& arguments, const std::vector<std::string>& environment);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  // Unavailable: it has ended.
  absl::Status WriteLine(const std::string& line);
  // Its next line of output, without the end. Unavailable: it has ended; DeadlineExceeded;
  // Cancelled: `interrupted` has been set (looked at a few times a second).
  absl::StatusOr<std::string> ReadLine(absl::Duration limit, const std::atomic<bool>* interrupted);

 private:
  PeerProcess() = default;

  std::string name_;
  pid_t pid_ = 0;
  int channel_ = -1;  // a socket: the peer's standard input and output
  std::string unread_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_PEER_PROCESS_H_
