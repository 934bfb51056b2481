#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "common/network/flow_network.h"

namespace ringmaster {

// What a simulation does next. Time begins at 0, is in whole nanoseconds and passes from event to
// event; events of one moment run in the order in which they were added, so that a simulation is
// the same every time. One thread.
class EventQueue {
 public:
  using Action = std::function<void()>;

  Nanoseconds time() const { return now_; }
  // In seconds.
  double now() const { return static_cast<double>(now_) * 1e-9; }

  // Runs `action` at `time`, or now where that has passed.
  void At(Nanoseconds time, Action action) {
    events_.push_back({std::max(time, now_), added_++, std::move(action)});
    std::push_heap(events_.begin(), events_.end(), Later);
  }
  // To the nearest nanosecond.
  void After(double seconds, Action action) {
    At(now_ + std::llround(seconds * 1e9), std::move(action));
  }

  // Runs the next event; false: there is none.
  bool RunNext() {
    if (events_.empty()) return false;
    std::pop_heap(events_.begin(), events_.end(), Later);
    Event event = std::move(events_.back());
    events_.pop_back();
    now_ = event.time;
    event.action();
    return true;
  }

 private:
  struct Event {
    Nanoseconds time = 0;
    int64_t number = 0;
    Action action;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.number > b.number;
  }

  Nanoseconds now_ = 0;
  int64_t added_ = 0;
  std::vector<Event> events_;  // a heap
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_
