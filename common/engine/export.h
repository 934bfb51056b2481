#ifndef RINGMASTER_COMMON_ENGINE_EXPORT_H_
#define RINGMASTER_COMMON_ENGINE_EXPORT_H_

#include <cstdio>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/engine/plugin.h"

namespace ringmaster {

// What ringmaster_engine_create does with what the engine's own function has made.
inline int HandOver(absl::StatusOr<std::unique_ptr<Engine>> made, Engine** engine, char* text,
                    size_t text_bytes) {
  *engine = made.ok() ? made->release() : nullptr;
  std::snprintf(text, text_bytes, "%.*s", static_cast<int>(made.status().message().size()),
                made.status().message().data());
  return static_cast<int>(made.status().code());
}

}  // namespace ringmaster

// Once in each engine's shared object, outside of all namespaces: exports what plugin.h describes.
// `create` takes an EngineSeat and returns a StatusOr<std::unique_ptr<Engine>>.
#define RINGMASTER_EXPORT_ENGINE(create)                                                    \
  extern "C" __attribute__((visibility("default"))) const char* ringmaster_engine_stamp() { \
    return ringmaster::kEngineInterfaceStamp;                                               \
  }                                                                                         \
  extern "C" __attribute__((visibility("default"))) int ringmaster_engine_create(           \
      const ringmaster::EngineSeat& seat, ringmaster::Engine** engine, char* text,          \
      size_t text_bytes) {                                                                  \
    return ringmaster::HandOver(create(seat), engine, text, text_bytes);                    \
  }

#endif  // RINGMASTER_COMMON_ENGINE_EXPORT_H_
