#ifndef RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_WORLD_H_
#define RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_WORLD_H_

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "experiments/study/predict/event_queue.h"

namespace ringmaster {

// The processes of a simulated run as a machine has them: which are there, which stand still, and
// who reaches whom. Events of a process that is gone never happen. Those of one that is stopped
// happen when it goes on, in their order, as messages wait in a socket. So do messages over a link
// that is cut, when it is healed. What goes over a data connection that is broken is lost.
//
// Parties of the simulation: a process has one that speaks with the coordinator, and its nodes have
// one in each formation that it is in. The coordinator is a party of its own, or lives in process
// 0. One more lets faults happen.
class FaultWorld : public EventGate {
 public:
  // `queue`, whose gate it becomes, outlives this. The nodes of the first formation are parties 0
  // to processes - 1.
  FaultWorld(int32_t processes, bool coordinator_in_first, EventQueue* queue);

  int32_t processes() const { return static_cast<int32_t>(states_.size()); }
  // Of the formation that it is in, or was in last.
  int32_t nodes(int32_t process) const { return nodes_[process]; }
  int32_t control(int32_t process) const { return processes() + process; }
  int32_t coordinator() const { return coordinator_in_first_ ? control(0) : 2 * processes(); }
  int32_t outside() const { return 2 * processes() + 1; }
  bool coordinator_in_first() const { return coordinator_in_first_; }

  bool is_there(int32_t process) const { return !states_[process].is_gone; }
  bool is_stopped(int32_t process) const { return states_[process].is_stopped; }
  bool coordinator_is_there() const { return !coordinator_in_first_ || is_there(0); }

  // It is gone, at once.
  void Kill(int32_t process) { states_[process].is_gone = true; }
  // A formation of the processes `members`: returns the first of its nodes' parties, which are
  // theirs in that order.
  int32_t AddFormation(absl::Span<const int32_t> members);
  // From now on the process's nodes are `party`, and those before do nothing any more.
  void Enter(int32_t process, int32_t party);
  // Its nodes begin: until then what others send them waits.
  void BeginNodes(int32_t process);
  // Its nodes do nothing any more; it may still speak with the coordinator.
  void EndNodes(int32_t process) { parties_[nodes_[process]].has_ended = true; }
  void Stop(int32_t process) { states_[process].is_stopped = true; }
  void GoOn(int32_t process);
  // No message comes through between the two, until it is healed as often as it was cut.
  void Cut(int32_t a, int32_t b) { cut_.insert(Pair(a, b)); }
  void Heal(int32_t a, int32_t b);
  // Nothing comes any more of what these two parties, which are nodes, have sent each other.
  void Break(int32_t a, int32_t b) { broken_.insert(Pair(a, b)); }

  bool LetsPass(const EventRoute& route, EventAction* action) override;

 private:
  struct Held {
    EventRoute route;
    EventAction action;
  };
  struct State {
    bool is_gone = false;
    bool is_stopped = false;
  };
  struct Party {
    int32_t process = -1;  // -1: none of the run's
    bool is_nodes = false;
    bool has_begun = false;
    bool has_ended = false;
  };

  static std::pair<int32_t, int32_t> Pair(int32_t a, int32_t b) {
    return {a < b ? a : b, a < b ? b : a};
  }
  // Adds them again, in their order: they are held once more where something else is in their way.
  void Release();

  const bool coordinator_in_first_;
  EventQueue* const queue_;
  std::vector<State> states_;
  std::vector<Party> parties_;
  std::vector<int32_t> nodes_;                      // by process
  std::multiset<std::pair<int32_t, int32_t>> cut_;  // processes, as often as it was
  std::set<std::pair<int32_t, int32_t>> broken_;    // parties
  std::vector<Held> held_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_WORLD_H_
