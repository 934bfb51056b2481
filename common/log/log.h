#ifndef RINGMASTER_COMMON_LOG_LOG_H_
#define RINGMASTER_COMMON_LOG_LOG_H_

#include "absl/strings/string_view.h"

namespace ringmaster {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Sends log lines to standard error, coloured on a terminal, from `least` on. Call once, before
// other threads exist.
void StartLogging(LogLevel least);

// Whether lines of kDebug are written: what a process that starts others tells them. Thread-safe.
bool LogsDebug();

// Writes one line. Thread-safe.
void Log(LogLevel level, absl::string_view text);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_LOG_LOG_H_
