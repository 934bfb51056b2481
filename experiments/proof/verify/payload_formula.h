#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PAYLOAD_FORMULA_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PAYLOAD_FORMULA_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Payload bytes of one worker in one step, as metered: messages to and from a server beside the
// worker, frame headers, empty requests and the weights of an evaluation left out.
struct StepPayload {
  int64_t up = 0;
  int64_t down = 0;
  int64_t index_up = 0;  // part of `up`
};

// What worker/`rank` of the resolved spec sends and receives in one step, in closed form: written
// from the definitions in docs/DESIGN.md and not from the code it is held against (no schedule, no
// codec, no placement is asked; only which collective "auto" stands for).
//   all_reduce, summed over buckets of S bytes:
//     ring: up 2S - chunk(r+1) - chunk(r+2), down 2S - chunk(r) - chunk(r+1)
//     direct: S - chunk(r) + (N-1) chunk(r) both ways
//     reduce_broadcast: S both ways, (N-1)S for rank 0
//     halving_doubling, binomial_tree, recursive_doubling: both ways what their headers say
//     auto: that of the collective chosen for the bucket
//     payloads that cannot be summed: the encoded bucket to and from each of the N-1 others
//   parameter_server: up the encoded parts, down 4 bytes an element, of all servers that do not
//     live beside the worker
//   single, solo: nothing
// Pure, thread-safe. Unimplemented: a collective or codec that has no formula here.
absl::StatusOr<StepPayload> PayloadFormula(const RunSpec& resolved, const ParamLayout& layout,
                                           int32_t rank);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PAYLOAD_FORMULA_H_
