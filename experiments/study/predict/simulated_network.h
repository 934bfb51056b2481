#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_NETWORK_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/network/flow_network.h"
#include "common/network/network_plan.h"
#include "experiments/study/predict/event_queue.h"

namespace ringmaster {

// What messages take. Processes as PlaceNodes numbers them.
struct NetworkCosts {
  NetworkPlan plan;
  // bytes a second of a message within a process
  double copy_rate = std::numeric_limits<double>::infinity();
  // The simulation's party (EventRoute) that is process 0; the others follow.
  int32_t first_party = 0;
};

// The network of one simulation: the one that shapes a run's messages
// (common/network/flow_network.h), on the simulation's time. One thread.
class SimulatedNetwork : private EventSource {
 public:
  // `queue`, of which it becomes the source, in place of an earlier network whose messages never
  // arrive from then on, outlives this.
  SimulatedNetwork(const NetworkCosts& costs, EventQueue* queue);

  // Sends now. `left` runs when the message has left, `arrived` when it is there; both after this
  // returns, and as events of the route between the two processes: what has left was taken by the
  // other end. Within a process a message is a copy.
  void Send(int32_t from, int32_t to, int64_t bytes, EventQueue::Action left,
            EventQueue::Action arrived);

  // The simulation has failed: the first reason stays.
  void Abort(const absl::Status& why) { status_.Update(why); }

  // Of Abort; or ResourceExhausted: too many messages were under way at once, and some were lost.
  const absl::Status& status() const { return status_; }
  // Of all messages sent so far between processes.
  int64_t messages() const { return messages_; }
  double bytes() const { return bytes_; }
  // FlowNetwork's.
  int64_t visits() const { return network_.visits(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  struct Message {
    EventRoute route;
    EventQueue::Action left;
    EventQueue::Action arrived;
    int untold = 2;
  };

  Nanoseconds NextTime() override;
  void Happen() override;

  const double copy_rate_;
  const int32_t first_party_;
  EventQueue* const queue_;
  // All zero, of which only what is used takes memory.
  std::unique_ptr<std::byte[], Free> state_;
  FlowNetwork network_;
  std::vector<Message> under_way_;
  std::vector<uint32_t> free_;  // places in it
  absl::Status status_;
  int64_t messages_ = 0;
  double bytes_ = 0;
  Nanoseconds advanced_ = -1;  // until when
  // to run
  std::vector<std::pair<EventRoute, EventQueue::Action>> left_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_NETWORK_H_
