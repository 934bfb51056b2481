#ifndef RINGMASTER_EXPERIMENTS_TRACE_CHROME_TRACE_H_
#define RINGMASTER_EXPERIMENTS_TRACE_CHROME_TRACE_H_

#include <cstdint>
#include <string>

namespace ringmaster {

class RunRecord;

// A run's traces for a viewer.
struct ChromeTrace {
  std::string json;
  int64_t steps = 0;  // traced
  int64_t threads = 0;
  int64_t spans = 0;
  int64_t messages = 0;     // both of whose ends are there
  int64_t single_ends = 0;  // of messages the other of which is not
  int64_t dropped = 0;      // events that had no room when they were recorded
};

// What of a run's traces there is, or of a failed run's last events, as a JSON object in the Trace
// Event Format, which Perfetto and chrome://tracing open: a process a node, a thread for each of
// the node's, a complete event ("X") a span with step, bucket and the payload bytes of the messages
// sent and received in it, a flow
// ("s" and "f") a message, from the span that sent it to the one that received it, and a counter of
// the bytes that each node has sent and that have not arrived yet. Times are microseconds since
// worker 0 passed the barrier before the first step, later where something was recorded earlier. Of
// the messages only those both of whose ends lie in a span. An event a line. Pure.
ChromeTrace MakeChromeTrace(const RunRecord& record);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_TRACE_CHROME_TRACE_H_
