#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_EXCHANGE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_EXCHANGE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/message.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/simulated_trace.h"

namespace ringmaster {

// Bytes of payload between a worker and other processes, in its steps.
struct SimulatedTraffic {
  int64_t up = 0;
  int64_t down = 0;
};

// A worker's exchange in simulated time: the moments of SyncStrategy (worker/strategy/strategy.h).
// What would wait there takes an action here, which it runs when the wait is over, at once or
// later.
class SimulatedExchange {
 public:
  virtual ~SimulatedExchange() = default;

  // `go`: the step, or the one that begun_step says, may read the weights.
  virtual void BeginStep(int64_t step, EventQueue::Action go) = 0;
  // The step that was let begin last, where `step` was asked for.
  virtual int64_t begun_step(int64_t step) const { return step; }
  // A bucket's gradient is there. `lot`: that it is of (common/control/dealing.h).
  struct Gradient {
    int64_t step = 0;
    int64_t lot = 0;
    int32_t bucket = 0;
  };
  virtual void GradReady(const Gradient& gradient) = 0;
  // `go`: the step thread may go on.
  virtual void EndStep(int64_t step, EventQueue::Action go) = 0;
  // The step's update is in the worker's weights. `go`: so are those of others, and the step is
  // over.
  virtual void Updated(int64_t step, EventQueue::Action go) { go(); }
  // Between two steps. `done`: the worker's weights hold every update of finished steps.
  virtual void Drain(EventQueue::Action done) = 0;
  // The last call.
  virtual void TakeLeave() = 0;

  // The exchange of step t is over at the latest when step t + lag begins.
  virtual int64_t lag() const = 0;
  // Whether the worker itself updates the weights.
  virtual bool updates() const = 0;
  // Of the weights, how much the worker updates itself.
  virtual double update_share() const { return updates() ? 1 : 0; }
  // Steps for which an update waits (SchemeTraits::delay): what EndStep(t) has waited for is the
  // exchange of step t - delay.
  virtual int64_t delay() const { return 0; }
  // Whether it does so before EndStep, which exchanges what the weights have become.
  virtual bool updates_first() const { return false; }

  // A message that is to come from a node, or, `is_send`, to be taken by it.
  struct Awaited {
    NodeId peer;
    Tag tag;
    bool is_send = false;
  };
  // What is expected of others, or sent and not taken yet, in any order. REQUIRES: WatchWaits.
  virtual std::vector<Awaited> awaited() const { return {}; }
  // From now on awaited() may be asked. REQUIRES: nothing has been done.
  void WatchWaits() { watches_waits_ = true; }

  const SimulatedTraffic& traffic() const { return traffic_; }

  // Keeps what the exchange thread does in traced steps. REQUIRES: nothing has been done.
  void Trace(SimulatedTrace trace) { trace_ = std::move(trace); }
  const SimulatedTrace& trace() const { return trace_; }

 protected:
  bool watches_waits_ = false;
  SimulatedTraffic traffic_;
  SimulatedTrace trace_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_EXCHANGE_H_
