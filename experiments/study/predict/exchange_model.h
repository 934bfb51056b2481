#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EXCHANGE_MODEL_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EXCHANGE_MODEL_H_

#include <cstdint>

#include "experiments/study/predict/event_queue.h"

namespace ringmaster {

// A worker's strategy in a simulation: the moments of a step as in worker/strategy/strategy.h, where waiting is a
// continuation. `go` runs, once, when the step thread would go on, at once or later.
class ExchangeModel {
 public:
  virtual ~ExchangeModel() = default;
  virtual void BeginStep(int64_t step, EventQueue::Action go) = 0;
  virtual void GradReady(int64_t step, int32_t bucket) = 0;
  virtual void EndStep(int64_t step, EventQueue::Action go) = 0;
  // BeginStep(step) waits for the exchange of step - lag at least: 1, or 2 where workers do not wait for each other.
  virtual int64_t lag() const = 0;
  // Whether the worker itself updates the weights, behind EndStep.
  virtual bool updates() const = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EXCHANGE_MODEL_H_
