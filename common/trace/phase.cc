#include "common/trace/phase.h"

namespace ringmaster {

const char* PhaseName(Phase phase) {
  constexpr const char* kNames[kPhaseCount] = {"gate",     "load",     "upload",  "forward",
                                               "backward", "download", "exposed", "update",
                                               "encode",   "exchange", "reduce"};
  return kNames[static_cast<int>(phase)];
}

}  // namespace ringmaster
