#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_NEEDS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_NEEDS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The bucket layout of the model of `spec`, which is resolved, as every rank builds it, and how
// many parameters it has. Errors:
// those of its data set and its model.
absl::StatusOr<ParamLayout> LayoutOf(const RunSpec& spec);
absl::StatusOr<int64_t> ParameterCount(const RunSpec& spec);

// Address space that a rank of `spec` takes at least, in bytes: libraries, threads, generated code,
// arenas and, over shared memory, what each pair of processes has. Pure.
int64_t LeastAddressSpace(const RunSpec& spec, int64_t parameters);

// Whether a process under this one's limit of address space (ulimit -v) can be a rank of `spec`.
// ResourceExhausted names the limit, its value and the need; without a limit it costs nothing and
// is OK. What a run takes beyond the least is found out when it takes it.
absl::Status CheckAddressSpace(const RunSpec& spec);

// What memory each process takes is planned in experiments/program/run/memory/memory_plan.h.

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_NEEDS_H_
