#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_STABILITY_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_STABILITY_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringmaster {

// Descent on f = x^2/2 through a real server, every gradient computed from weights that are exactly
// `delay` updates old.
struct StabilityCase {
  int64_t delay = 0;
  double learning_rate = 0;
  int64_t updates = 2000;
  // What a broken exchange would do; as they stand they change nothing.
  double gradient_factor = 1;  // gradients arrive scaled
  int64_t extra_delay = 0;     // gradients arrive this many updates later still
};

// The largest stable learning rate on f = x^2/2 with constant delay t: 2 sin(pi / (2 (2t + 1))).
double StabilityEdge(int64_t delay);

// Runs a ShardService (asynchronous, plain SGD) on the in-process fabric against delay + 1 workers
// that one script moves in turn: each reads the weights, the others' pushes land, then its own
// does. Returns |x| at the end, over the last delay + 1 updates, for x = 1 at the start. Fails when
// a read has another version than the script says, or when the server's histogram of staleness is
// not the scripted one. Takes about a tenth of a second.
absl::StatusOr<double> FinalMagnitude(const StabilityCase& c);

// Delays 0, 1 and 2 shrink at 0.97 of the edge and grow at 1.03 of it, with `broken`'s faults, if
// any. FailedPrecondition names delay and rate.
absl::Status CheckStabilityEdge(const StabilityCase& broken = {});

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_STABILITY_CHECK_H_
