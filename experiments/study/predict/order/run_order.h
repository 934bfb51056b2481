#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_RUN_ORDER_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_RUN_ORDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/network/network_plan.h"
#include "common/params/param_layout.h"
#include "experiments/study/predict/order/order_search.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The resolved spec with its ranks in that order (strategy.group_order). Pure, as what follows.
RunSpec InOrder(const RunSpec& spec, const std::vector<int32_t>& order);

// Seconds of all messages of a step's exchange, each as if it were alone: its latency, and its
// bytes at the rate of what lies between the two processes. `spec` is resolved, and has a
// collective of ours; `layout` is its model's. Errors: those of PlanAllReduce.
absl::StatusOr<double> MessageSeconds(const RunSpec& spec, const ParamLayout& layout,
                                      const NetworkPlan& network);

// What FindOrder needs of the resolved spec, which has a collective of ours: where it begins, which
// orders are alike, and what they cost on the spec's network. Where nothing on it differs, and
// nobody is slower, all orders are alike. `layout` outlives the search. `step`: predicts the
// seconds of a step of such a spec. InvalidArgument: the network is of nodes that the run does not
// have.
absl::StatusOr<OrderSearch> SearchOf(
    const RunSpec& spec, const ParamLayout& layout,
    std::function<absl::StatusOr<double>(const RunSpec& spec)> step);

// "--set strategy.group_order=0,2,1,3", for a command line.
std::string OrderFlag(const std::vector<int32_t>& order);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ORDER_RUN_ORDER_H_
