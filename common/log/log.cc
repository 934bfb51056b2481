#include "common/log/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace ringmaster {
namespace {

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void StartLogging(LogLevel least) {
  // A program may open one session after another.
  if (spdlog::get("ringmaster") == nullptr)
    spdlog::set_default_logger(spdlog::stderr_color_mt("ringmaster"));
  spdlog::set_pattern("%^%l%$: %v");
  spdlog::set_level(LevelOf(least));
}

bool LogsDebug() { return spdlog::should_log(spdlog::level::debug); }

void Log(LogLevel level, absl::string_view text) {
  spdlog::log(LevelOf(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace ringmaster
