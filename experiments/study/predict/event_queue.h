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

  // Runs `action` at `time`, or now where that has passed.
  void At(Nanoseconds time, Action action) {
    uint32_t place = 0;
    if (free_.empty()) {
      place = static_cast<uint32_t>(actions_.size());
      actions_.push_back(std::move(action));
    } else {
      place = free_.back();
      free_.pop_back();
      actions_[place] = std::move(action);
    }
    events_.push_back({std::max(time, now_), added_++, place});
    std::push_heap(events_.begin(), events_.end(), IsLater());
  }
  // To the nearest nanosecond.
  void After(double seconds, Action action) {
    At(now_ + std::llround(seconds * 1e9), std::move(action));
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
    action();
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
  Nanoseconds now_ = 0;
  int64_t added_ = 0;
  std::vector<Event> events_;  // a heap
  std::vector<Action> actions_;
  std::vector<uint32_t> free_;  // places in actions_
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_QUEUE_H_
