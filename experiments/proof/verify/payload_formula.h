#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PAYLOAD_FORMULA_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PAYLOAD_FORMULA_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Payload bytes of one worker, as metered: messages to and from a server beside the worker, frame
// headers, empty requests and the weights of an evaluation left out.
struct Payload {
  int64_t up = 0;
  int64_t down = 0;
  int64_t index_up = 0;  // part of `up`
};

// What a worker's encoders said that the encodings it sent have (WorkerReport.encoded_bytes_up and
// index_bytes_up), and its servers' of the weights that they sent it
// (ServerReport.encoded_bytes_down).
struct EncodedSums {
  int64_t up = 0;
  int64_t index_up = 0;  // part of `up`
  int64_t down = 0;
};

// What worker/`rank` of the resolved spec sends and receives in its first `steps` steps, what a
// drain brings left out, in closed form: written from the definitions in docs/DESIGN.md and not
// from the code it is held against (no schedule, no codec, no placement is asked; only which
// collective "auto" stands for). In each step, unless it says otherwise:
//   all_reduce, summed over buckets of S bytes, where r is the worker's place in
//   strategy.group_order:
//     ring: up 2S - chunk(r+1) - chunk(r+2), down 2S - chunk(r) - chunk(r+1)
//     direct: S - chunk(r) + (N-1) chunk(r) both ways
//     reduce_broadcast: S both ways, (N-1)S for rank 0
//     halving_doubling, binomial_tree, recursive_doubling, hierarchical, double_binary_tree: what
//     their headers say
//     auto: that of the collective chosen for the bucket
//     a codec that is summed in rounds: the collective of what each round sums
//     payloads that cannot be summed: the encoded bucket to and from each of the N-1 others
//     hierarchical, without a size of its own and with hosts in the order: with groups of the
//     largest size that divides the neighbours of every host (FormedSpec of
//     experiments/program/run/hosts/record_hosts.h makes such an order)
//   delayed: as all_reduce; sharded_optimizer: the ring's, half of them weights, and worker/r has
//     chunk r+1 in any order
//   parameter_server: up the encoded parts, down 4 bytes an element or, with a down_codec, the
//     encoded parts, of all servers that do not live beside the worker
//   local_sgd: an all-reduce of the floats in each synchronous step, and after every H-th of the
//     others
//   elastic: an all-reduce of the floats every `period` steps; asynchronous: the floats to and from
//     all servers after every `period` steps, and once for those that are left
//   gossip: the floats to and from two others (one_peer_exponential: one), every `every_steps`
//     steps
//   single, solo: nothing
// In a warm-up an encoding is the floats. Of codecs whose encodings have no fixed length it is the
// most that they may be. Pure, thread-safe. Unimplemented: a collective or codec that has no
// formula here.
absl::StatusOr<Payload> PayloadFormula(const RunSpec& resolved, const ParamLayout& layout,
                                       int32_t rank, int64_t steps);

// What the meters of worker/`rank` must have counted: PayloadFormula; or, where encodings have no
// fixed length, what encoders have said: this worker's of what it sent, the others' of what it got.
//   sums: by rank, of all workers that train, after `steps` steps each.
// FailedPrecondition: an encoder has said more than the formula's limit. Other errors as
// PayloadFormula.
absl::StatusOr<Payload> ExpectedPayload(const RunSpec& resolved, const ParamLayout& layout,
                                        int32_t rank, int64_t steps,
                                        absl::Span<const EncodedSums> sums);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_PAYLOAD_FORMULA_H_
