#ifndef RINGMASTER_COMMON_ENGINE_ENGINES_H_
#define RINGMASTER_COMMON_ENGINE_ENGINES_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/engine/engine.h"
#include "common/engine/engine_names.h"

namespace ringmaster {

// OK where the engine's shared object is there and fits this program; loads it, which starts
// nothing but runs the library's static constructors. Unavailable: it was left out when this was
// built, because the library was not found, or its library is not on this machine; the text says
// which and what to install. NotFound: no such engine.
absl::Status CheckEngine(absl::string_view name);

// Joins the other ranks, who do the same; the caller's alone. Errors as CheckEngine, and the
// library's own.
absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(absl::string_view name,
                                                     const EngineSeat& seat);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_ENGINES_H_
