#ifndef RINGMASTER_COMMON_ENGINE_ENGINE_NAMES_H_
#define RINGMASTER_COMMON_ENGINE_ENGINE_NAMES_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ringmaster {

// Which GPUs an engine sums on, if any.
enum class EngineGpus { kNone, kOneEach, kOneForAll };

struct EngineInfo {
  absl::string_view name;
  absl::string_view summary;
  absl::string_view package;  // without which it is not built
  EngineGpus gpus = EngineGpus::kNone;
  absl::string_view launcher = {};  // the program that has to start its ranks; empty: anybody may
};

// Every engine that there can be, whether it is in this build or not. Lives as long as the program.
absl::Span<const EngineInfo> Engines();
bool IsEngine(absl::string_view name);
// NotFound names the known ones.
absl::StatusOr<const EngineInfo*> FindEngine(absl::string_view name);
// kNone for a name that is no engine's.
EngineGpus EngineGpusOf(absl::string_view name);
// Empty for a name that is no engine's.
absl::string_view EngineLauncherOf(absl::string_view name);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_ENGINE_NAMES_H_
