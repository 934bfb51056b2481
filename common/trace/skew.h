#ifndef RINGMASTER_COMMON_TRACE_SKEW_H_
#define RINGMASTER_COMMON_TRACE_SKEW_H_

#include "google/protobuf/repeated_field.h"

namespace ringmaster {

class ProcessReport;

// Tells apart what a worker waits for while exchange is exposed. A step's exchange cannot end
// before the last rank has computed that step's gradients: waiting until then is *skew*, whatever
// the network; the rest is transfer. The last rank itself has no skew.
//
// Takes the workers' computed_ns, wait_begin_ms and wait_ms of every step, or the first million,
// and clears them. Where `waits_for_all` (each step's exchange needs every rank's gradients) and at
// least two workers, all of them, have these of the same number of steps, it sets each worker's
// skew_ms, and adds to its step thread's trace a span "skew" where each "exposed" begins.
// REQUIRES: before AlignTraces, which clears the clocks.
void MeasureSkew(bool waits_for_all, google::protobuf::RepeatedPtrField<ProcessReport>* reports);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_SKEW_H_
