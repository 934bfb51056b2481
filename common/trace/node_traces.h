#ifndef RINGMASTER_COMMON_TRACE_NODE_TRACES_H_
#define RINGMASTER_COMMON_TRACE_NODE_TRACES_H_

#include <atomic>
#include <cstdint>
#include <deque>

#include "absl/strings/string_view.h"
#include "common/trace/phase.h"
#include "common/trace/thread_recorder.h"
#include "google/protobuf/repeated_field.h"
#include "proto/record.pb.h"

namespace ringmaster {

class RunSpec;

// The first output.trace_steps timed steps of a resolved spec, or all where there are fewer.
TracedSteps TracedStepsOf(const RunSpec& spec);

// What a worker's threads record.
struct WorkerTraces {
  WorkerTraces(int32_t rank, TracedSteps traced);
  // Adds what was recorded, after the threads have ended. Threads that recorded nothing are left
  // out.
  void AddTo(ProcessReport* report) const;
  // Fills threads and since_seconds of what is said of this worker at `now`: the last events of
  // both threads, and as the step thread's last the phase that words->activity says it is in. Any
  // thread, at any time.
  void AddLast(Clock::time_point now, NodeLastWords* words) const;

  ThreadRecorder step;
  ThreadRecorder exchange;
  // when the worker passed the barrier before the first step; the clock's beginning: it has not
  std::atomic<Clock::time_point> started{Clock::time_point()};
};

// What a server records.
struct ServerTraces {
  // `workers` whose pulls may be parked.
  ServerTraces(int32_t index, int32_t workers, TracedSteps traced);
  void AddTo(ProcessReport* report) const;
  // As WorkerTraces::AddLast; no phase of a server is open.
  void AddLast(Clock::time_point now, NodeLastWords* words) const;

  ThreadRecorder shard;
  // by worker: while its pull waits at the gate. The shard's thread's too
  std::deque<ThreadRecorder> parked;
};

// The clock of this process's traces, which was welcomed to the run at `welcomed`; `started` as in
// WorkerTraces, of worker 0 where it lives here.
TraceClock ThisTraceClock(Clock::time_point welcomed, Clock::time_point started);

// By how many nanoseconds times of the clock `own` are moved so that they are of the clock `zero`
// and count from `zero_ns` on it. Clocks of different machines are set by the moment in which all
// were welcomed, and wrong by as much as that message took longer to one than to the other. Pure.
int64_t ClockOffset(const TraceClock& own, const TraceClock& zero, int64_t zero_ns);

// Puts the traces and the servers' marks of all processes of a run on one clock, which is 0 when
// worker 0 started, and clears their own. Without a start of worker 0 the times of traces are left
// as they are, and marks are cleared.
void AlignTraces(google::protobuf::RepeatedPtrField<ProcessReport>* reports);

// The same of last events. Without a start of worker 0 the clock is 0 when the processes were
// welcomed.
void AlignLastEvents(google::protobuf::RepeatedPtrField<LastWords>* words);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_NODE_TRACES_H_
