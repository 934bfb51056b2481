#include "common/transport/shm/exact_io.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

absl::Status Closed() {
  return absl::UnavailableError("it closed the connection: it has ended or failed");
}

}  // namespace

absl::Status WriteExactly(Wire& wire, const void* data, size_t size) {
  return wire.Write(data, size) == static_cast<ssize_t>(size) ? absl::OkStatus() : Closed();
}

absl::Status ReadExactly(Wire& wire, void* data, size_t size, const Membership& membership,
                         MonotonicTime deadline) {
  for (size_t done = 0; done < size;) {
    const ssize_t count = wire.Read(static_cast<char*>(data) + done, size - done);
    if (count > 0) {
      done += count;
      continue;
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) return Closed();
    const absl::Duration left = deadline - MonotonicNow();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          "it has not answered what is asked before memory is shared");
    }
    pollfd readable = {wire.fd.get(), POLLIN, 0};
    const int64_t limit_ms = std::min<int64_t>(absl::ToInt64Milliseconds(left), kAbortPollMs) + 1;
    if (poll(&readable, 1, static_cast<int>(limit_ms)) == 0)
      RM_RETURN_IF_ERROR(membership.Aborted());
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
