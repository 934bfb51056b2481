#include "common/trace/timed_steps.h"

#include <algorithm>

#include "proto/record.pb.h"

namespace ringmaster {

std::vector<int32_t> TimedSteps(const WorkerReport& worker) {
  std::vector<int32_t> timed;
  auto untimed = worker.untimed_steps().begin();
  const int64_t first = worker.step_ms_size() - worker.timed_steps() - worker.untimed_steps_size();
  for (auto step = static_cast<int32_t>(std::max<int64_t>(0, first)); step < worker.step_ms_size();
       ++step) {
    if (untimed != worker.untimed_steps().end() && *untimed == step) {
      ++untimed;
    } else {
      timed.push_back(step);
    }
  }
  return timed;
}

}  // namespace ringmaster
