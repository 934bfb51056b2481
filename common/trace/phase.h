#ifndef RINGMASTER_COMMON_TRACE_PHASE_H_
#define RINGMASTER_COMMON_TRACE_PHASE_H_

#include <chrono>

namespace ringmaster {

// Where a thread's time goes. The first group belongs to the step thread, the second to the
// exchange thread.
enum class Phase {
  kGate,
  kLoad,
  kUpload,
  kForward,
  kBackward,
  kDownload,
  kExposed,
  kUpdate,
  kEncode,
  kExchange,
  kReduce,
};
inline constexpr int kPhaseCount = 11;
const char* PhaseName(Phase phase);

// On Linux the machine's monotonic clock: the same for all its processes.
using Clock = std::chrono::steady_clock;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_PHASE_H_
