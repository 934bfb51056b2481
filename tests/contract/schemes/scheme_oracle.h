#ifndef RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_ORACLE_H_
#define RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_ORACLE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// One element of a worker's own mean gradient, where its weight is `weight`. Pure.
using OwnGradient =
    std::function<double(int32_t rank, int64_t step, int64_t element, double weight)>;

// Where a run stands after its drain.
struct SchemeEnd {
  std::vector<std::vector<double>> replicas;  // by worker
  std::vector<double> model;
};

// What the scheme of the resolved `spec` makes of `initial` in `steps` steps and a drain, by its
// definition alone: in double precision, in one thread, without a look at strategies, servers,
// collectives or update rules. The optimizer is "sgd" or "momentum". Where updates are made as they
// come, it is "sgd" and no gradient depends on the weights, so that their order does not matter, or
// there is one worker where it does (a center on servers that workers attract);
// delays are compensated by nothing, and there are no backup workers.
// Unimplemented: the scheme has no definition here.
absl::StatusOr<SchemeEnd> PlayScheme(const RunSpec& spec, const std::vector<double>& initial,
                                     int64_t steps, const OwnGradient& gradient);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_SCHEMES_SCHEME_ORACLE_H_
