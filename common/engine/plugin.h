#ifndef RINGMASTER_COMMON_ENGINE_PLUGIN_H_
#define RINGMASTER_COMMON_ENGINE_PLUGIN_H_

#include <cstddef>

#include "common/engine/engine.h"
#include "common/engine/interface_stamp.h"

namespace ringmaster {

// The boundary between the program and an engine's shared object, which alone is linked to the
// library in question and is loaded when the engine is asked for. Both sides carry
// kEngineInterfaceStamp, a digest of engine.h.
struct EnginePlugin {
  static constexpr char kStampSymbol[] = "ringmaster_engine_stamp";
  using Stamp = const char*();

  // Makes *engine, which the caller deletes, and returns 0; or returns an absl::StatusCode and puts
  // the reason into `text`, of at most text_bytes - 1 characters and a terminating 0.
  static constexpr char kCreateSymbol[] = "ringmaster_engine_create";
  using Create = int(const EngineSeat& seat, Engine** engine, char* text, size_t text_bytes);
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_PLUGIN_H_
