#ifndef RINGMASTER_COMMON_TRACE_NODE_TRACES_H_
#define RINGMASTER_COMMON_TRACE_NODE_TRACES_H_

#include <cstdint>
#include <deque>

#include "common/trace/phase.h"
#include "common/trace/thread_recorder.h"
#include "google/protobuf/repeated_field.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The first output.trace_steps timed steps of a resolved spec, or all where there are fewer.
TracedSteps TracedStepsOf(const RunSpec& spec);

// What a worker's threads record.
struct WorkerTraces {
  WorkerTraces(int32_t rank, TracedSteps traced);
  // Adds what was recorded, after the threads have ended. Threads that recorded nothing are left
  // out.
  void AddTo(ProcessReport* report) const;

  ThreadRecorder step;
  ThreadRecorder exchange;
  // when the worker passed the barrier before the first step; the step thread's
  Clock::time_point started;
};

// What a server records.
struct ServerTraces {
  // `workers` whose pulls may be parked.
  ServerTraces(int32_t index, int32_t workers, TracedSteps traced);
  void AddTo(ProcessReport* report) const;

  ThreadRecorder shard;
  // by worker: while its pull waits at the gate. The shard's thread's too
  std::deque<ThreadRecorder> parked;
};

// The clock of this process's traces, which was welcomed to the run at `welcomed`; `started` as in
// WorkerTraces, of worker 0 where it lives here.
TraceClock ThisTraceClock(Clock::time_point welcomed, Clock::time_point started);

// Puts the traces of all processes of a run on one clock, which is 0 when worker 0 started, and
// clears their own. Without a start of worker 0 times are left as they are.
void AlignTraces(google::protobuf::RepeatedPtrField<ProcessReport>* reports);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_NODE_TRACES_H_
