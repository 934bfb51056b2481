#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_ARM_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_ARM_H_

#include "absl/status/statusor.h"
#include "common/params/param_layout.h"
#include "experiments/proof/explain/story.h"

namespace ringmaster {

class RunSpec;

// Tells what a resolved and valid spec does to exchange, step by step, played by the schedules and
// servers that train: what it does where gradients are summed, where workers exchange weights,
// where an update comes between or late, and with which codec. Its facts begin with the bytes of a
// model of `layout`. InvalidArgument: nothing is exchanged, or by a library whose messages are not
// ours; what to explain instead. Otherwise errors are those of who plays. Pure.
absl::StatusOr<Story> ExplainArm(const RunSpec& resolved, const ParamLayout& layout);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_ARM_H_
