#include "experiments/program/run/attempts/was_stopped.h"

#include <sys/wait.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/system_error.h"
#include "common/machine/process_end.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// As the coordinator says of a process that ended so (wait() says `wait_status`).
absl::Status Died(int wait_status, const std::string& more = "") {
  return absl::UnavailableError(
      absl::StrCat("worker/1 (pid 12), last seen at step=3 phase=forward: the process ended before "
                   "its work was done, with ",
                   EndText(wait_status), more));
}

int ExitCode(int code) { return code << 8; }

TEST(WasStopped, ByWhatCameFromOutside) {
  const absl::Status kCases[] = {
      absl::CancelledError("interrupted"),
      Died(SIGKILL),
      Died(SIGTERM),
      Died(SIGINT),
      Died(SIGHUP),
      Died(ExitCode(128 + SIGTERM)),
      Died(ExitCode(128 + SIGKILL)),
      Died(SIGKILL,
           "; out of memory: oom_kill rose by 1 in this control group, whose memory limit "
           "is 100 MiB"),
      absl::AbortedError("worker/1: ended by SIGTERM"),
      absl::UnavailableError("worker/0 (rank 0) ended with signal 9 (Killed) before it joined; "
                             "what it said stands above"),
      absl::UnavailableError("worker/1 (pid 12), last seen at step=3 phase=forward: the process "
                             "ended before its work was done; whoever started it knows its exit "
                             "code or signal"),
      absl::UnavailableError("worker/1 (pid 12), last seen at step=3 phase=forward: its connection "
                             "broke, and the process is still there"),
      absl::DeadlineExceededError("worker/1 (pid 12), last seen at step=3 phase=forward: no "
                                  "heartbeat for 10s; the process hangs or its machine is gone"),
      absl::DeadlineExceededError(
          "rank 3 of 4 did not join within 1m (limits.join_seconds): unheard of"),
      absl::UnavailableError("tcp: connection to worker/1: it closed the connection: it has ended "
                             "or failed"),
      SystemError(ECONNRESET, "tcp: connection to worker/1: cannot receive"),
      SystemError(ENOSPC, "cannot write weights.safetensors"),
      SystemError(EDQUOT, "cannot write weights.safetensors"),
  };
  for (const absl::Status& status : kCases) EXPECT_TRUE(WasStopped(status)) << status;
}

TEST(WasStopped, NotByItsOwnFailure) {
  const absl::Status kCases[] = {
      absl::OkStatus(),
      absl::OutOfRangeError("step=3: rank 1: the training loss is nan"),
      absl::InvalidArgumentError("model \"mlp\": mlp_hidden is missing"),
      absl::FailedPreconditionError("rank 1 read other data than rank 0"),
      Died(SIGSEGV),
      Died(SIGABRT),
      Died(SIGBUS),
      Died(SIGFPE),
      Died(ExitCode(1)),
      Died(ExitCode(128 + SIGABRT)),
      absl::DeadlineExceededError("all nodes wait, and none has got any further for 30s: worker/0 "
                                  "waits for server/0"),
      SystemError(EFBIG, "cannot write weights.safetensors"),
      SystemError(EACCES, "cannot write weights.safetensors"),
      absl::UnavailableError("collective \"nccl\": no CUDA device"),
  };
  for (const absl::Status& status : kCases) EXPECT_FALSE(WasStopped(status)) << status;
}

}  // namespace
}  // namespace ringmaster
