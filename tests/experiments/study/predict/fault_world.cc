#include "tests/experiments/study/predict/fault_world.h"

namespace ringmaster {

void FaultWorld::BeginNodes(int32_t process) {
  states_[process].nodes_began = true;
  Release();
}

void FaultWorld::GoOn(int32_t process) {
  states_[process].is_stopped = false;
  Release();
}

void FaultWorld::Heal(int32_t a, int32_t b) {
  cut_.erase(cut_.find(Pair(a, b)));
  Release();
}

void FaultWorld::Release() {
  std::vector<Held> held;
  held.swap(held_);
  for (Held& event : held) queue_->At(queue_->time(), event.route, std::move(event.action));
}

bool FaultWorld::LetsPass(const EventRoute& route, EventAction* action) {
  const int32_t to = ProcessOf(route.to);
  const auto pair = Pair(ProcessOf(route.from), to);
  const State state = to < 0 ? State() : states_[to];
  if (state.is_gone || (state.nodes_ended && IsNodes(route.to))) return false;
  if (IsNodes(route.from) && IsNodes(route.to) && broken_.count(pair) > 0) return false;
  const bool is_early = IsNodes(route.to) && !state.nodes_began;
  if (!is_early && !state.is_stopped && cut_.count(pair) == 0) return true;
  held_.push_back({route, std::move(*action)});
  return false;
}

}  // namespace ringmaster
