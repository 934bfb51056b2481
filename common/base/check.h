#ifndef RINGMASTER_COMMON_BASE_CHECK_H_
#define RINGMASTER_COMMON_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

// Ends the process when `condition` is false: for our own bugs only, never for input (that gets a
// Status).
#define RM_CHECK(condition)                                                                \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      std::fprintf(stderr, "%s:%d: internal error: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                        \
    }                                                                                      \
  } while (false)

#endif  // RINGMASTER_COMMON_BASE_CHECK_H_
