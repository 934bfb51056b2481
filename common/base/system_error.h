#ifndef RINGMASTER_COMMON_BASE_SYSTEM_ERROR_H_
#define RINGMASTER_COMMON_BASE_SYSTEM_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

// What `error`, an errno, means. A limit of this process, a full disk and a full quota are named,
// with the limit's value and what to do: "File too large: over this process's limit of 65536 bytes
// a file (ulimit -f, RLIMIT_FSIZE); raise it".
std::string ErrorText(int error);

// Whether `error` is a limit, a full disk or a full quota: what ErrorText has advice for.
bool IsLimit(int error);

// "`doing`: `ErrorText(error)`" with the code that absl gives the errno.
absl::Status SystemError(int error, absl::string_view doing);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_SYSTEM_ERROR_H_
