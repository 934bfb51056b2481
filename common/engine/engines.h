#ifndef RINGMASTER_COMMON_ENGINE_ENGINES_H_
#define RINGMASTER_COMMON_ENGINE_ENGINES_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/engine/engine.h"

namespace ringmaster {

// Which GPUs an engine sums on, if any.
enum class EngineGpus { kNone, kOneEach, kOneForAll };

struct EngineInfo {
  absl::string_view name;
  absl::string_view summary;
  absl::string_view package;  // without which it is not built
  EngineGpus gpus = EngineGpus::kNone;
};

// Every engine that there can be, whether it is in this build or not.
absl::Span<const EngineInfo> Engines();
bool IsEngine(absl::string_view name);
// kNone for a name that is no engine's.
EngineGpus EngineGpusOf(absl::string_view name);

// OK where the engine's shared object is there and fits this program; loads it, which starts nothing but runs the
// library's static constructors. Unavailable: it was left out when this was built, because the library was not found, or
// its library is not on this machine; the text says which and what to install. NotFound: no such engine.
absl::Status CheckEngine(absl::string_view name);

// Joins the other ranks, who do the same; the caller's alone. Errors as CheckEngine, and the library's own.
absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(absl::string_view name, const EngineSeat& seat);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_ENGINES_H_
