#ifndef RINGMASTER_COMMON_TRACE_TRACE_H_
#define RINGMASTER_COMMON_TRACE_TRACE_H_

#include <array>
#include <chrono>
#include <cstdint>

#include "common/trace/phase.h"
#include "common/trace/thread_recorder.h"

namespace ringmaster {

// Time per phase of one thread in one step. Owned by that thread; read by others only after it has
// been joined or handed over. Never synchronizes a device.
class PhaseTimes {
 public:
  // `recorder`: where stretches of time are recorded too; the thread's own, outlives this object.
  // Null: nowhere.
  explicit PhaseTimes(ThreadRecorder* recorder = nullptr) : recorder_(recorder) {}

  void Add(Phase phase, Clock::duration time) { times_[static_cast<int>(phase)] += time; }
  // As above, of one stretch of the thread's time, which is recorded as of the step under way.
  // `bucket`: what it was for; -1: no bucket, or several.
  void Add(Phase phase, Clock::time_point begin, Clock::time_point end, int32_t bucket = -1) {
    Add(phase, end - begin);
    Clock::time_point& first = first_begin_[static_cast<int>(phase)];
    if (first == Clock::time_point()) first = begin;
    if (recorder_ != nullptr)
      recorder_->AddSpan(PhaseName(phase), recorder_->step(), bucket, begin, end);
  }
  double Milliseconds(Phase phase) const {
    return std::chrono::duration<double, std::milli>(times_[static_cast<int>(phase)]).count();
  }
  // When the phase's first stretch began; the clock's beginning: it had none.
  Clock::time_point first_begin(Phase phase) const { return first_begin_[static_cast<int>(phase)]; }
  // As if nothing had been added.
  void Clear() {
    times_ = {};
    first_begin_ = {};
  }

 private:
  std::array<Clock::duration, kPhaseCount> times_{};
  std::array<Clock::time_point, kPhaseCount> first_begin_{};
  ThreadRecorder* recorder_;
};

// Adds the time of its own life to a phase.
class ScopedPhase {
 public:
  ScopedPhase(PhaseTimes& times, Phase phase, int32_t bucket = -1)
      : times_(times), phase_(phase), bucket_(bucket), begin_(Clock::now()) {}
  ~ScopedPhase() { times_.Add(phase_, begin_, Clock::now(), bucket_); }
  ScopedPhase(const ScopedPhase&) = delete;
  ScopedPhase& operator=(const ScopedPhase&) = delete;

 private:
  PhaseTimes& times_;
  const Phase phase_;
  const int32_t bucket_;
  const Clock::time_point begin_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_TRACE_H_
