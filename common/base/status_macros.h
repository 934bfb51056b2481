#ifndef RINGMASTER_COMMON_BASE_STATUS_MACROS_H_
#define RINGMASTER_COMMON_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// Returns from the calling function when `expression` is not OK.
#define RM_RETURN_IF_ERROR(expression)       \
  do {                                       \
    ::absl::Status rm_status = (expression); \
    if (!rm_status.ok()) return rm_status;   \
  } while (false)

// RM_ASSIGN_OR_RETURN(auto x, F()): declares or assigns x from a StatusOr, or returns its status.
#define RM_ASSIGN_OR_RETURN(target, expression) \
  RM_ASSIGN_OR_RETURN_IMPL_(RM_CONCAT_(rm_statusor_, __LINE__), target, expression)
#define RM_ASSIGN_OR_RETURN_IMPL_(statusor, target, expression) \
  auto statusor = (expression);                                 \
  if (!statusor.ok()) return std::move(statusor).status();      \
  target = *std::move(statusor)
#define RM_CONCAT_(a, b) RM_CONCAT_INNER_(a, b)
#define RM_CONCAT_INNER_(a, b) a##b

namespace ringmaster {

// `status` with `context` before its message ("ring step=12 bucket=3: <message>"); OK stays OK.
inline absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_STATUS_MACROS_H_
