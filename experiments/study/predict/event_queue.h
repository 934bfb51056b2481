#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace ringmaster {

// What a simulation does next. Time is in seconds from 0 and passes from event to event; events of one moment run in the
// order in which they were added, so that a simulation is the same every time. One thread.
class EventQueue {
 public:
  using Action = std::function<void()>;

  double now() const { return now_; }

  // Runs `action` at `time`, or now where that has passed.
  void At(double time, Action action) {
    events_.push_back({std::max(time, now_), added_++, std::move(action)});
    std::push_heap(events_.begin(), events_.end(), Later);
  }
  void After(double seconds, Action action) { At(now_ + seconds, std::move(action)); }

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
    double time = 0;
    int64_t number = 0;
    Action action;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.number > b.number;
  }

  double now_ = 0;
  int64_t added_ = 0;
  std::vector<Event> events_;  // a heap
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_
