#ifndef RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_GRADIENT_SUM_H_
#define RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_GRADIENT_SUM_H_

#include "absl/status/status.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Sums buckets' gradients over all workers, into BucketGradient::sum: what the exchange thread of
// an all-reduce does. A bucket's task starts its sum or does it; that of a step's end returns when
// all are done.
class GradientSum : public ExchangeWork {
 public:
  // The form in which the buckets' gradients are to come.
  virtual GradientRequest Gradients() const = 0;

  // SyncStrategy::Give, by the step thread, while no task is under way.
  virtual State Give() const = 0;
  // Bytes of that state. Where it is large, no copy is made to count it.
  virtual int64_t state_bytes() const { return Give().bytes(); }
  // SyncStrategy::Take, by the step thread, before the first task.
  virtual absl::Status Take(const State& state) = 0;

  // After the last task, by the step thread, the exchange thread being no more: takes leave of the
  // others. Also called after a failure or an abort, when it waits for nobody.
  virtual absl::Status Finish() = 0;

  // Puts into the report what was summed and how; by the step thread, while no task is
  // under way.
  virtual void Describe(ExchangeReport* report) const = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_GRADIENT_SUM_H_
