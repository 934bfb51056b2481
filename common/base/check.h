#ifndef RINGMASTER_COMMON_BASE_CHECK_H_
#define RINGMASTER_COMMON_BASE_CHECK_H_

namespace ringmaster {

// Ends the process by SIGABRT after a line on standard error that says where, which condition does
// not hold, and which node was at which step (common/base/check_context.h). Thread-safe.
[[noreturn]] void FailCheck(const char* file, int line, const char* condition);

}  // namespace ringmaster

// Ends the process when `condition` is false: for our own bugs only, never for input (that gets a
// Status).
#define RM_CHECK(condition)                                                    \
  do {                                                                         \
    if (!(condition)) ::ringmaster::FailCheck(__FILE__, __LINE__, #condition); \
  } while (false)

#endif  // RINGMASTER_COMMON_BASE_CHECK_H_
