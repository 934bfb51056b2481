#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_EXCHANGE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_EXCHANGE_H_

#include <cstdint>

#include "experiments/study/predict/event_queue.h"

namespace ringmaster {

// A worker's exchange in simulated time: the moments of SyncStrategy (worker/strategy/strategy.h).
// What would wait there takes an action here, which it runs when the wait is over, at once or
// later.
class SimulatedExchange {
 public:
  virtual ~SimulatedExchange() = default;

  // `go`: the step may read the weights.
  virtual void BeginStep(int64_t step, EventQueue::Action go) = 0;
  virtual void GradReady(int64_t step, int32_t bucket) = 0;
  // `go`: the step thread may go on.
  virtual void EndStep(int64_t step, EventQueue::Action go) = 0;
  // Between two steps. `done`: the worker's weights hold every update of finished steps.
  virtual void Drain(EventQueue::Action done) = 0;
  // The last call.
  virtual void TakeLeave() = 0;

  // The exchange of step t is over at the latest when step t + lag begins.
  virtual int64_t lag() const = 0;
  // Whether the worker itself updates the weights.
  virtual bool updates() const = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_EXCHANGE_H_
