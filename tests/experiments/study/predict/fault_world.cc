#include "tests/experiments/study/predict/fault_world.h"

namespace ringmaster {

FaultWorld::FaultWorld(int32_t processes, bool coordinator_in_first, EventQueue* queue)
    : coordinator_in_first_(coordinator_in_first), queue_(queue), states_(processes) {
  for (int32_t process = 0; process < processes; ++process) {
    nodes_.push_back(process);
    parties_.push_back({process, /*is_nodes=*/true});
  }
  for (int32_t process = 0; process < processes; ++process) parties_.push_back({process});
  parties_.resize(outside() + 1);
  queue->SetGate(this);
}

int32_t FaultWorld::AddFormation(absl::Span<const int32_t> members) {
  const auto first = static_cast<int32_t>(parties_.size());
  for (const int32_t process : members) parties_.push_back({process, /*is_nodes=*/true});
  return first;
}

void FaultWorld::Enter(int32_t process, int32_t party) {
  EndNodes(process);
  nodes_[process] = party;
}

void FaultWorld::BeginNodes(int32_t process) {
  parties_[nodes_[process]].has_begun = true;
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
  const Party& from = parties_[route.from];
  const Party& to = parties_[route.to];
  const State state = to.process < 0 ? State() : states_[to.process];
  if (state.is_gone || to.has_ended) return false;
  if (from.is_nodes && to.is_nodes && broken_.count(Pair(route.from, route.to)) > 0) return false;
  const bool is_early = to.is_nodes && !to.has_begun;
  const bool is_cut = cut_.count(Pair(from.process, to.process)) > 0;
  if (!is_early && !state.is_stopped && !is_cut) return true;
  held_.push_back({route, std::move(*action)});
  return false;
}

}  // namespace ringmaster
