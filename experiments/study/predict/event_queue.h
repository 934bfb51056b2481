#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/network/network_plan.h"
#include "experiments/study/predict/event_action.h"

namespace ringmaster {

// What happens without having been added to a queue.
class EventSource {
 public:
  virtual ~EventSource() = default;
  // When it happens next, if nothing else does before; kNever. All events up to now are over.
  virtual Nanoseconds NextTime() = 0;
  // Lets it happen, at that time.
  virtual void Happen() = 0;
};

// From which of a simulation's parties an event comes, and in which it happens: processes, as
// numbered by who simulates. Within one of them both are the same.
struct EventRoute {
  int32_t from = 0;
  int32_t to = 0;
};

// Decides whether events happen: of parties that stand still or are gone, and between those that do
// not reach each other.
class EventGate {
 public:
  virtual ~EventGate() = default;
  // Whether the event may happen now. If not, the gate may take `*action`, to add it again later.
  virtual bool LetsPass(const EventRoute& route, EventAction* action) = 0;
};

// What a simulation does next. Time begins at 0, is in whole nanoseconds and passes from event to
// event; events of one moment run in the order in which they were added, and then what the source
// has for it, so that a simulation is the same every time. One thread.
class EventQueue {
 public:
  using Action = EventAction;

  Nanoseconds time() const { return now_; }
  // In seconds.
  double now() const { return static_cast<double>(now_) * 1e-9; }

  // `source` outlives this, or its last RunNext.
  void SetSource(EventSource* source) { source_ = source; }

  // Asks `gate` before every event; it outlives this, or its last RunNext. Without one all happen.
  void SetGate(EventGate* gate) { gate_ = gate; }

  // Runs `action` at `time`, or now where that has passed, in the party in which the event that
  // runs happens.
  void At(Nanoseconds time, Action action) { At(time, {party_, party_}, std::move(action)); }
  void At(Nanoseconds time, const EventRoute& route, Action action) {
    uint32_t place = 0;
    if (free_.empty()) {
      place = static_cast<uint32_t>(actions_.size());
      actions_.push_back(std::move(action));
      routes_.push_back(route);
    } else {
      place = free_.back();
      free_.pop_back();
      actions_[place] = std::move(action);
      routes_[place] = route;
    }
    events_.push_back({std::max(time, now_), added_++, place});
    std::push_heap(events_.begin(), events_.end(), IsLater());
  }
  // To the nearest nanosecond.
  void After(double seconds, Action action) {
    At(now_ + std::llround(seconds * 1e9), std::move(action));
  }

  // Runs `action` at once, as an event of that route.
  void Run(const EventRoute& route, Action&& action) {
    if (gate_ != nullptr && !gate_->LetsPass(route, &action)) return;
    const int32_t party = std::exchange(party_, route.to);
    action();
    party_ = party;
  }

  // Runs the next event; false: there is none.
  bool RunNext() {
    if (source_ != nullptr && (events_.empty() || events_.front().time > now_)) {
      const Nanoseconds next = source_->NextTime();
      if (next != kNever && (events_.empty() || next <= events_.front().time)) {
        now_ = std::max(now_, next);
        source_->Happen();
        return true;
      }
    }
    if (events_.empty()) return false;
    std::pop_heap(events_.begin(), events_.end(), IsLater());
    const Event event = events_.back();
    events_.pop_back();
    now_ = event.time;
    Action action = std::move(actions_[event.place]);
    free_.push_back(event.place);
    Run(routes_[event.place], std::move(action));
    return true;
  }

 private:
  struct Event {
    Nanoseconds time = 0;
    int64_t number = 0;
    uint32_t place = 0;  // in actions_
  };
  struct IsLater {
    bool operator()(const Event& a, const Event& b) const {
      return a.time != b.time ? a.time > b.time : a.number > b.number;
    }
  };

  EventSource* source_ = nullptr;
  EventGate* gate_ = nullptr;
  int32_t party_ = 0;  // in which the event that runs happens
  Nanoseconds now_ = 0;
  int64_t added_ = 0;
  std::vector<Event> events_;  // a heap
  std::vector<Action> actions_;
  std::vector<EventRoute> routes_;  // of each of them
  std::vector<uint32_t> free_;      // places in actions_
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_
