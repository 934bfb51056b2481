#ifndef RINGMASTER_COMMON_CONTROL_FAILURES_H_
#define RINGMASTER_COMMON_CONTROL_FAILURES_H_

#include <string>

#include "absl/status/status.h"
#include "proto/control.pb.h"

namespace ringmaster {

// A status as it travels between the processes of a run, and back. Pure.
inline Failure FailureOf(const absl::Status& status) {
  Failure failure;
  failure.set_code(static_cast<int>(status.code()));
  failure.set_message(std::string(status.message()));
  return failure;
}
inline absl::Status StatusOf(const Failure& failure) {
  return absl::Status(static_cast<absl::StatusCode>(failure.code()), failure.message());
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_FAILURES_H_
