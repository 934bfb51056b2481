#ifndef RINGMASTER_COMMON_TRACE_TRACE_H_
#define RINGMASTER_COMMON_TRACE_TRACE_H_

#include <array>
#include <chrono>
#include <cstdint>

namespace ringmaster {

// Where a thread's time goes. The first group belongs to the step thread, the second to the exchange thread.
enum class Phase {
  kGate, kLoad, kUpload, kForward, kBackward, kDownload, kExposed, kUpdate,
  kEncode, kExchange, kReduce,
};
inline constexpr int kPhaseCount = 11;
const char* PhaseName(Phase phase);

using Clock = std::chrono::steady_clock;

// Time per phase of one thread in one step. Owned by that thread; read by others only after it has been joined or
// handed over. Never synchronizes a device.
class PhaseTimes {
 public:
  void Add(Phase phase, Clock::duration time) { times_[static_cast<int>(phase)] += time; }
  double Milliseconds(Phase phase) const {
    return std::chrono::duration<double, std::milli>(times_[static_cast<int>(phase)]).count();
  }

 private:
  std::array<Clock::duration, kPhaseCount> times_{};
};

// Adds the time of its own life to a phase.
class ScopedPhase {
 public:
  ScopedPhase(PhaseTimes& times, Phase phase) : times_(times), phase_(phase), begin_(Clock::now()) {}
  ~ScopedPhase() { times_.Add(phase_, Clock::now() - begin_); }
  ScopedPhase(const ScopedPhase&) = delete;
  ScopedPhase& operator=(const ScopedPhase&) = delete;

 private:
  PhaseTimes& times_;
  const Phase phase_;
  const Clock::time_point begin_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_TRACE_H_
