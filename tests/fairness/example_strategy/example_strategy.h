#ifndef RINGMASTER_TESTS_FAIRNESS_EXAMPLE_STRATEGY_EXAMPLE_STRATEGY_H_
#define RINGMASTER_TESTS_FAIRNESS_EXAMPLE_STRATEGY_EXAMPLE_STRATEGY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// A strategy from outside the worker package: every worker sends its encoded gradients to every
// other at the end of the step, adds them in rank order and updates its own weights. It shows what
// a new strategy takes: this folder, the interface of worker/strategy/strategy.h and nothing of
// model, kernels or data.
struct ExampleOptions {
  // The mistake that makes replicas drift apart: add the own gradient as it is and not as the
  // others receive it.
  bool keep_own_undecoded = false;
};
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateExampleStrategy(const WorkerLink& link,
                                                                    const ExampleOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_FAIRNESS_EXAMPLE_STRATEGY_EXAMPLE_STRATEGY_H_
