#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_NETWORK_MODEL_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_NETWORK_MODEL_H_

#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

#include "common/base/random.h"
#include "experiments/study/predict/event_queue.h"

namespace ringmaster {

// One process's way to all others, bytes a second.
struct CardModel {
  double egress = std::numeric_limits<double>::infinity();
  double ingress = std::numeric_limits<double>::infinity();
};

// One direction between two processes.
struct LinkModel {
  double latency = 0;  // seconds a message, one way
  double jitter = 0;   // up to so many more, evenly distributed
  double rate = std::numeric_limits<double>::infinity();  // bytes a second, within its cards' rates
};

// What messages are computed to take. Processes as PlaceNodes numbers them.
struct NetworkModel {
  std::vector<CardModel> cards;  // by process
  std::vector<LinkModel> links;  // from * processes + to
  double copy_rate = std::numeric_limits<double>::infinity();  // bytes a second of a message within a process
  uint64_t seed = 1;             // of jitter
};

// `processes` cards and links that are all alike.
NetworkModel UniformNetwork(int processes, const CardModel& card, const LinkModel& link);

// The network of one simulation, reckoned as a fluid. What one process sends to another goes one behind the other, and
// such flows share the cards that they cross max-min fairly: none could be faster without a slower one losing. A message
// has left when its last byte is through both cards, and arrives a latency later, not before the one before it. So one
// alone takes bytes / rate + latency, and N at once to one receiver take N times as long, whoever sends them. One thread.
// Source: Bertsekas and Gallager, Data Networks, section 6.5.2.
class SimulatedNetwork {
 public:
  // `queue` outlives this.
  SimulatedNetwork(const NetworkModel& model, EventQueue* queue);

  // Sends now. `left` runs when the message has left, `arrived` when it is there; both after this returns.
  void Send(int from, int to, double bytes, EventQueue::Action left, EventQueue::Action arrived);

  // Of all messages sent so far between processes.
  int64_t messages() const { return messages_; }
  double bytes() const { return bytes_; }

 private:
  struct Message {
    double bytes_left = 0;
    EventQueue::Action left;
    EventQueue::Action arrived;
  };
  struct Flow {
    std::deque<Message> messages;
    double rate = 0;          // of the first
    double last_arrival = 0;
  };

  int processes() const { return static_cast<int>(model_.cards.size()); }
  // The rates are to be shared out anew, once for all that happens at this moment.
  void Change();
  void Share();
  void LetPass();
  void Finish(int flow_index);

  const NetworkModel model_;
  EventQueue* const queue_;
  Random random_;
  std::vector<Flow> flows_;   // from * processes + to
  std::vector<int> active_;   // indices of those with messages
  int64_t messages_ = 0;
  double bytes_ = 0;
  double passed_ = 0;         // until when the messages have moved
  bool changing_ = false;
  int64_t shares_ = 0;        // times that rates were shared out: an event of earlier ones is void
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_NETWORK_MODEL_H_
